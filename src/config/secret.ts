/**
 * Secrets of the configuration. A `Secret` prints as `***` wherever it could leak by accident (logs, JSON,
 * inspection, templates); only `reveal` gives the value. In the file a secret is best a reference, `env:NAME`
 * or `file:PATH`, which is resolved once while the configuration is loaded.
 */
import { errnoOf } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';

const mask = '***';
/** A secret file larger than this is not a secret but a mistake. */
const maxSecretFileBytes = 64 * 1024;

/** What a secret needs from outside to be resolved. `readFile` rejects with a Node error, or when over the limit. */
export interface SecretSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile: (path: string, maxBytes: number) => Promise<string>;
}

export type ResolvedSecret = { readonly value: Secret } | { readonly wrong: string; readonly right: string };

/** True for `env:NAME` and `file:PATH`: these name a secret and may be shown. */
function isSecretReference(text: string): boolean {
  return text.startsWith('env:') || text.startsWith('file:');
}

/** What may be shown of a secret as it stands in the file: the reference, or `***` for a literal. */
export function shownSecret(text: string): string {
  return isSecretReference(text) ? text : mask;
}

/** Resolves a reference, or wraps a literal. One line break at the end of a file is dropped. Never rejects. */
export async function resolveSecret(text: string, sources: SecretSources): Promise<ResolvedSecret> {
  if (text.startsWith('env:')) return fromEnv(text.slice(4), sources.env);
  if (text.startsWith('file:')) return await fromFile(text.slice(5), sources.readFile);
  return { value: new Secret(text) };
}

function fromEnv(name: string, env: SecretSources['env']): ResolvedSecret {
  const value = env[name];
  if (value !== undefined && value !== '') return { value: new Secret(value, mask, `env:${name}`) };
  return {
    wrong: `the environment variable "${name}" is not set`,
    right: 'set it for the modferry process, or name another one, e.g. env:UPSTREAM_TOKEN',
  };
}

async function fromFile(path: string, readFile: SecretSources['readFile']): Promise<ResolvedSecret> {
  try {
    const value = (await readFile(path, maxSecretFileBytes)).replace(/\r?\n$/, '');
    if (value !== '') return { value: new Secret(value, mask, `file:${path}`) };
    return { wrong: `the secret file "${path}" is empty`, right: 'write the secret into it' };
  } catch (error) {
    return {
      wrong: `the secret file "${path}" cannot be read (${errnoOf(error) ?? 'too large'})`,
      right: 'name a file of at most 64 KiB that the modferry process may read',
    };
  }
}

/**
 * Text with anything that could be credentials of a URL masked: userinfo and query. Errs on the side of masking
 * too much, because it is also used on text that is not a valid URL.
 */
export function redactUrls(text: string): string {
  return text
    .replace(/:\/\/[^\s|]*@/g, `://${mask}@`)
    .replace(/^(?![a-z][a-z0-9+.-]*:\/\/)[^\s|]*@/i, `${mask}@`)
    .replace(/\?[^\s|,]*/g, `?${mask}`);
}
