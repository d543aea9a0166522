/** Names of users and groups as directories, issuers and certificates give them: only what can be shown is one. */

const maxLength = 200;
const unprintable = /[^\p{L}\p{N}\p{P}\p{S} ]/u;

/** False: not to be used; it is empty, too long, has spaces around it or something in it that cannot be printed. */
export function isShownName(text: string): boolean {
  return text !== '' && text.length <= maxLength && text.trim() === text && !unprintable.test(text);
}
