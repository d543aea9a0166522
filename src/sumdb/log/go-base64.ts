/** Base64 as Go's `base64.StdEncoding` reads it, which is stricter than Buffer. */

/** The bytes; undefined for other characters or wrong padding. Line breaks within it are skipped, as Go does. */
export function decodeGoBase64(text: string): Buffer | undefined {
  const packed = text.replaceAll(/[\r\n]/g, '');
  if (packed.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(packed)) return undefined;
  return Buffer.from(packed, 'base64');
}
