/** Mutable answers (list, latest, queries) as JSON files, replaced atomically and never fsynced: they can be asked again. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { ModulePath, Version } from '../../gomod/types.ts';
import type { MutableEntry, MutableName } from '../store.ts';
import { namesIn, readTextIfAny, replaceFile, unlinkIfAny } from './files.ts';
import { asObject, parseObject } from './json-object.ts';
import type { Layout } from './layout.ts';

export class Mutables {
  readonly #layout: Layout;
  readonly #staging: string;

  constructor(layout: Layout, staging: string) {
    this.#layout = layout;
    this.#staging = staging;
  }

  /** Undefined when absent, unreadable, or written under another name. */
  async read(path: ModulePath, name: MutableName): Promise<MutableEntry | undefined> {
    const text = await readTextIfAny(this.#layout.mutable(path, name));
    return text === undefined ? undefined : parseEntry(text, name);
  }

  async write(path: ModulePath, name: MutableName, entry: MutableEntry): Promise<void> {
    const text = `${JSON.stringify({ name, ...entry })}\n`;
    const temporary = join(this.#staging, `mutable-${randomBytes(8).toString('hex')}`);
    await replaceFile(this.#layout.mutable(path, name), text, temporary);
  }

  async removeAll(path: ModulePath): Promise<void> {
    const folder = this.#layout.mutableFolder(path);
    for (const name of await namesIn(folder)) await unlinkIfAny(join(folder, name));
  }

  /** Removes `latest` and the query answers that resolve to this version. The sources' list stays: it is still true. */
  async removeNaming(path: ModulePath, version: Version): Promise<void> {
    const folder = this.#layout.mutableFolder(path);
    const quoted = JSON.stringify(version);
    for (const name of await namesIn(folder)) {
      if (name === 'list.json') continue;
      const file = join(folder, name);
      const body = bodyOf((await readTextIfAny(file)) ?? '');
      if (body === undefined || body.includes(quoted) || body.trim() === version) await unlinkIfAny(file);
    }
  }
}

function bodyOf(text: string): string | undefined {
  const body = parseObject(text)?.['body'];
  return typeof body === 'string' ? body : undefined;
}

function parseEntry(text: string, wantedName: MutableName): MutableEntry | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  const { name, body, confirmedAtMs, sources, facts } = value;
  if (name !== wantedName || typeof body !== 'string' || typeof confirmedAtMs !== 'number') return undefined;
  if (!Array.isArray(sources) || !sources.every((source) => typeof source === 'string')) return undefined;
  if (facts === undefined) return { body, confirmedAtMs, sources };
  const object = asObject(facts);
  return object === undefined ? undefined : { body, confirmedAtMs, sources, facts: object };
}
