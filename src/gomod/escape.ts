/**
 * Case escaping: an upper-case letter is written as `!` and the lower-case letter, so that file systems which fold
 * case keep paths apart. Pure text; what is escaped is checked by the callers.
 * See https://go.dev/ref/mod#goproxy-protocol.
 */

/** `text` must be ASCII without `!`, which every checked path and version is. */
export function escapeCase(text: string): string {
  return text.replaceAll(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
}

/** The unescaped text, or undefined for upper-case letters, `!` before anything but a–z, and non-ASCII. */
export function unescapeCase(escaped: string): string | undefined {
  // One pass of a class-only test first: the common path has no `!` and needs no replacement.
  if (hasForbidden.test(escaped)) return undefined;
  return escaped.includes('!')
    ? escaped.replaceAll(/!(.)/g, (_, letter: string) => letter.toUpperCase())
    : escaped;
}

// oxlint-disable-next-line no-control-regex -- NUL is the lower end of ASCII, which is what is meant
const hasForbidden = /[A-Z]|[^\0-\u007f]|!(?![a-z])/;
