/** What the store contract's parts and the tests of implementations share: places, keys, and storing in one go. */
import { createHash } from 'node:crypto';
import { parseModulePath } from '../../gomod/module-path.ts';
import type { ArtifactExt, ArtifactKey, Version } from '../../gomod/types.ts';
import { isCanonical } from '../../gomod/version.ts';
import type { Evidence } from '../quarantine.ts';
import type { PublishFacts, PublishResult, Store } from '../store.ts';

/** One empty place for a store, e.g. a fresh folder or bucket prefix. */
export interface StorePlace {
  /** Opens a further instance on the place; the second and later ones stand for other processes. */
  open(options?: {
    claimStallMs?: number;
    quarantineBytes?: number;
    quarantineEntries?: number;
  }): Promise<Store>;
  /** Closes what was opened and removes the place. */
  remove(): Promise<void>;
}

/** Throws when the text is no canonical version. */
export function versionOf(text: string): Version {
  if (!isCanonical(text)) throw new Error(`${text} is no canonical version`);
  return text;
}

/** Throws when the texts are no module path and canonical version. */
export function keyOf(path: string, version: string, ext: ArtifactExt): ArtifactKey {
  return { path: parseModulePath(path), version: versionOf(version), ext };
}

export function sha256Of(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A well-formed h1 that stands for the tree `name`. */
export function fakeH1(name: string): string {
  return `h1:${createHash('sha256').update(name).digest('base64')}`;
}

/** Evidence that the bytes `body` of this artifact are not what they should be. */
export function evidenceOf(key: ArtifactKey, body: string): Evidence {
  return {
    key,
    cause: 'mismatch',
    source: 'mirror',
    reason: 'its h1 differs',
    sha256: sha256Of(body),
    sizeBytes: body.length,
    atMs: 1_700_000_000_000,
  };
}

/** Stages, writes and publishes in one go. */
export async function put(
  store: Store,
  key: ArtifactKey,
  body: string | Uint8Array,
  facts: Partial<PublishFacts> = {},
): Promise<PublishResult> {
  const staged = await store.stage(key);
  try {
    await staged.write([Buffer.from(body)]);
    const h1 = key.ext === 'zip' ? { h1: fakeH1(String(body)) } : {};
    return await staged.publish({ sha256: sha256Of(body), source: 'test', ...h1, ...facts });
  } finally {
    await staged.close();
  }
}

export async function putVersion(store: Store, path: string, version: string): Promise<void> {
  await Promise.all([
    put(store, keyOf(path, version, 'info'), JSON.stringify({ Version: version })),
    put(store, keyOf(path, version, 'mod'), `module ${path}\n`),
    put(store, keyOf(path, version, 'zip'), `zip of ${path}@${version}`),
  ]);
}

/** The stored text; undefined when absent. */
export async function textOf(store: Store, key: ArtifactKey): Promise<string | undefined> {
  const file = await store.open(key);
  if (file === undefined) return undefined;
  try {
    return (await file.readAll()).toString();
  } finally {
    await file.close();
  }
}

/** Everything a walk yields. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}
