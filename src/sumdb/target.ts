/** What Go's escaping of paths and versions lets through, as it stands in a URL. */

/** Each element escaped for a URL; `!` needs no escape, and nothing else that may be in one is special but `/`. */
export function urlPath(text: string): string {
  return text.split('/').map(encodeURIComponent).join('/');
}
