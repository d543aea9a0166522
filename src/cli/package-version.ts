/** The version of this modferry, from its package.json. Read when asked for: most commands never need it. */
import { readFile } from 'node:fs/promises';

/** Without a leading `v`; `unknown` when package.json does not say. */
export async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  const hasVersion = typeof parsed === 'object' && parsed !== null && 'version' in parsed;
  return hasVersion && typeof parsed.version === 'string' ? parsed.version : 'unknown';
}
