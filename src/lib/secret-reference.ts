/**
 * A secret that is looked up when it is used: `env:NAME` or `file:PATH`. A rotated file is in use at the next look;
 * what was resolved is kept in no text.
 */
import { ModferryError } from './errors.ts';
import { RereadFile } from './reread-file.ts';
import { Secret } from './secret.ts';

/** A secret file larger than this is not a secret but a mistake. */
const maxSecretFileBytes = 64 * 1024;

/** `missing`: the variable or file is not there, or empty. Message: a sentence without the secret. */
export class SecretError extends ModferryError<'missing' | 'unreadable'> {}

/** A secret that is known already, or where it is to be had. */
export type SecretSource = Secret | SecretReference;

export interface SecretReference {
  /** The reference itself, which may be shown: `env:GITLAB_TOKEN`, `file:/run/secrets/gitlab`. */
  readonly shown: string;
  /** Rejects with SecretError, or FileError. One line break at the end of a file is dropped. */
  read(): Promise<Secret>;
  /** A sentence when everybody on this machine may read the file; undefined else, and when it cannot be read. */
  warning(): Promise<string | undefined>;
}

/**
 * Undefined when the text is no reference, so that it is the secret itself. `resolvePath` makes a path absolute.
 * Reads nothing yet.
 */
export function secretReference(
  text: string,
  place: {
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly resolvePath: (path: string) => string;
  },
): SecretReference | undefined {
  if (text.startsWith('env:')) return new EnvReference(text.slice(4), place.env);
  if (text.startsWith('file:')) return new FileReference(text, place.resolvePath(text.slice(5)));
  return undefined;
}

/** The secret now. Rejects as `SecretReference.read` does. */
export async function revealNow(source: SecretSource): Promise<string> {
  return (source instanceof Secret ? source : await source.read()).reveal();
}

class EnvReference implements SecretReference {
  readonly shown: string;
  readonly #name: string;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(name: string, env: Readonly<Record<string, string | undefined>>) {
    this.shown = `env:${name}`;
    this.#name = name;
    this.#env = env;
  }

  read(): Promise<Secret> {
    const value = this.#env[this.#name];
    if (value !== undefined && value !== '') return Promise.resolve(new Secret(value));
    const text = `the environment variable ${this.#name} is not set; set it for the modferry process`;
    return Promise.reject(new SecretError('missing', text));
  }

  warning(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

class FileReference implements SecretReference {
  readonly shown: string;
  readonly #file: RereadFile;

  constructor(shown: string, path: string) {
    this.shown = shown;
    this.#file = new RereadFile({ path, maxBytes: maxSecretFileBytes });
  }

  async read(): Promise<Secret> {
    const value = (await this.#file.read()).text.replace(/\r?\n$/, '');
    if (value !== '') return new Secret(value);
    throw new SecretError('missing', `the secret file ${this.#file.path} is empty; write the secret into it`);
  }

  async warning(): Promise<string | undefined> {
    const mode = await this.#file.read().then(
      (facts) => facts.mode,
      () => undefined,
    );
    return mode === undefined ? undefined : openFileWarning(this.#file.path, mode);
  }
}

/** A sentence when others than the owner and his group may read the file, or others than the owner may write it. */
function openFileWarning(path: string, mode: number): string | undefined {
  if (process.platform === 'win32' || (mode & 0o027) === 0) return undefined;
  const octal = mode.toString(8).padStart(4, '0');
  const who = (mode & 0o007) === 0 ? 'changed by its group' : 'read by everybody on this machine';
  return `${path} holds a secret and can be ${who} (mode ${octal}); chmod 600 it`;
}
