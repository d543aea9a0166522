/**
 * The `.netrc` file, as the `go` command and curl read it: `machine NAME login NAME password WORD`, `default`,
 * `macdef`. It only finds credentials for a host; it never decides who gets them.
 */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, messageOf } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';
import { type UpstreamAuth } from './credentials.ts';

export interface NetrcEntry {
  /** Undefined for `default`. */
  readonly machine: string | undefined;
  readonly login: string;
  readonly password: Secret;
}

const maxFileBytes = 1024 * 1024;
const maxEntries = 10_000;

/** Parses the text; never throws. Unknown words are skipped, entries without login or password dropped. */
export function parseNetrc(text: string): NetrcEntry[] {
  const entries: NetrcEntry[] = [];
  let open: { machine: string | undefined; login: string; password: string | undefined } | undefined;

  function finish(): void {
    if (open !== undefined && open.password !== undefined && entries.length < maxEntries) {
      entries.push({ machine: open.machine, login: open.login, password: new Secret(open.password) });
    }
    open = undefined;
  }

  const words = wordsOf(text);
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index];
    if (word === 'default') {
      finish();
      open = { machine: undefined, login: '', password: undefined };
      continue;
    }
    const value = words[index + 1];
    if (value === undefined) break;
    if (word === 'machine') {
      finish();
      open = { machine: value.toLowerCase(), login: '', password: undefined };
    } else if (word === 'login') {
      if (open !== undefined) open.login = value;
    } else if (word === 'password') {
      if (open !== undefined) open.password = value;
    } else if (word !== 'account') {
      continue;
    }
    index += 1;
  }
  finish();
  return entries;
}

/** All words outside comments and macro bodies. A macro runs from `macdef` to the next empty line. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  let inMacro = false;
  for (const line of text.split(/\r?\n/)) {
    if (inMacro) {
      inMacro = line.trim() !== '';
      continue;
    }
    for (const word of line.split(/\s+/)) {
      if (word === '') continue;
      // Only a word of its own at the start of a line comments: passwords may begin with '#'.
      if (word.startsWith('#') && line.trimStart().startsWith('#')) break;
      if (word === 'macdef') {
        inMacro = true;
        break;
      }
      words.push(word);
    }
  }
  return words;
}

/** Basic credentials for a host name (without port); the first entry that names it, else `default`. */
export function netrcAuth(entries: readonly NetrcEntry[], hostname: string): UpstreamAuth | undefined {
  const host = hostname.toLowerCase();
  const entry =
    entries.find((candidate) => candidate.machine === host) ??
    entries.find((candidate) => candidate.machine === undefined);
  if (entry === undefined) return undefined;
  return { kind: 'basic', username: entry.login, password: entry.password };
}

export interface NetrcPlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Home folder of the user; undefined: only `NETRC` counts. */
  readonly homeDir: string | undefined;
  readonly platform: NodeJS.Platform;
}

/** `NETRC`, else `.netrc` in the home folder (`_netrc` on Windows). */
export function netrcPath(place: NetrcPlace): string | undefined {
  const named = place.env.NETRC;
  if (named !== undefined && named !== '') return named;
  if (place.homeDir === undefined || place.homeDir === '') return undefined;
  return join(place.homeDir, place.platform === 'win32' ? '_netrc' : '.netrc');
}

/** Reads and parses. No file: no entries. A file that cannot be read or is over 1 MiB: a warning. Never rejects. */
export async function loadNetrc(
  place: NetrcPlace,
): Promise<{ entries: NetrcEntry[]; warning: string | undefined }> {
  const path = netrcPath(place);
  if (path === undefined) return { entries: [], warning: undefined };
  try {
    const { size } = await stat(path);
    if (size > maxFileBytes) return { entries: [], warning: `${path} is over 1 MiB and was not read` };
    return { entries: parseNetrc(await readFile(path, 'utf8')), warning: undefined };
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { entries: [], warning: undefined };
    return { entries: [], warning: `${path} could not be read: ${messageOf(error)}` };
  }
}
