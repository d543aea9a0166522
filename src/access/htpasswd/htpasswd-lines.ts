/** The text of an htpasswd file and of a groups file, as Apache has them, read into users; faults with their line. */
import { type PasswordHash, parsePasswordHash } from './password-hash.ts';

export interface HtpasswdUser {
  readonly name: string;
  readonly hash: PasswordHash;
}

export interface Parsed<Entry> {
  readonly entries: ReadonlyMap<string, Entry>;
  /** Sentences without hashes, e.g. `line 3: its hash is MD5; make it with htpasswd -B`. At most 20. */
  readonly faults: readonly string[];
}

const maxFaults = 20;
const longestName = 200;
const unprintable = /[^\p{L}\p{N}\p{P}\p{S} ]/u;

class Faults {
  readonly told: string[] = [];
  readonly names = new Set<string>();

  add(index: number, why: string): void {
    if (this.told.length < maxFaults) this.told.push(`line ${index + 1}: ${why}`);
  }

  /** False and told: the name cannot be used, or was there before. */
  takes(index: number, name: string): boolean {
    const isFine = name !== '' && name.length <= longestName && !unprintable.test(name);
    if (!isFine) this.add(index, 'its name is empty, too long or cannot be printed');
    else if (this.names.has(name)) this.add(index, `"${name}" stands on a line before`);
    else {
      this.names.add(name);
      return true;
    }
    return false;
  }
}

/** `name:hash` a line. Faulty lines are nobody's. */
export function parseHtpasswd(text: string): Parsed<HtpasswdUser> {
  const entries = new Map<string, HtpasswdUser>();
  const faults = new Faults();
  for (const [index, line] of linesOf(text)) {
    const colon = line.indexOf(':');
    if (colon < 0) {
      faults.add(index, 'it is not name:hash');
      continue;
    }
    const name = line.slice(0, colon);
    const hash = parsePasswordHash(line.slice(colon + 1));
    if (typeof hash === 'string') faults.add(index, hash);
    else if (faults.takes(index, name)) entries.set(name, { name, hash });
  }
  return { entries, faults: faults.told };
}

/** `group: user user` a line. Gives the groups of each user. */
export function parseGroups(text: string): Parsed<readonly string[]> {
  const entries = new Map<string, string[]>();
  const faults = new Faults();
  for (const [index, line] of linesOf(text)) {
    const colon = line.indexOf(':');
    if (colon < 0) {
      faults.add(index, 'it is not group: user user');
      continue;
    }
    const group = line.slice(0, colon).trim();
    if (!faults.takes(index, group)) continue;
    for (const user of new Set(line.slice(colon + 1).split(/\s+/))) {
      if (user === '') continue;
      const groups = entries.get(user);
      if (groups === undefined) entries.set(user, [group]);
      else groups.push(group);
    }
  }
  return { entries, faults: faults.told };
}

/** Without empty lines and comments; the index is that in the file. */
function* linesOf(text: string): Generator<[number, string]> {
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line.trim() !== '' && !line.startsWith('#')) yield [index, line];
  }
}
