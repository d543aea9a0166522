/**
 * Tells a web page from a module file. Captive portals, login walls and error pages answer 200 with HTML; no file
 * of the protocol begins with markup.
 */

const tag = /^<(?:!doctype|!--|html|head|body|title|meta|script|\?xml)/i;

/**
 * True when the first bytes are those of a page. The content type alone proves nothing, since plain file servers
 * label .mod and .info at will: with an HTML type any `<` counts, without one only a known opening does.
 * `head` need be no more than the first 1,024 bytes.
 */
export function looksLikeHtml(contentType: string | undefined, head: Uint8Array): boolean {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, 1024))
    .toString('utf8')
    .trimStart();
  if (!text.startsWith('<')) return false;
  return tag.test(text) || /^\s*(?:text\/html|application\/xhtml\+xml)\b/i.test(contentType ?? '');
}
