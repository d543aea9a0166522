/** Test help: a registry on a fresh data folder, and uploads of made-up modules. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type FakeModule, type FakeModuleOptions, fakeModule } from '../../test/kit/fake-module.ts';
import { parseModulePath } from '../gomod/module-path.ts';
import type { ArtifactExt, ArtifactKey, ModulePath, Version } from '../gomod/types.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { type FsStore, openFsStore } from '../store/fs/fs-store.ts';
import type { Store } from '../store/store.ts';
import { ZipVerifier } from '../zip/verify-pool.ts';
import {
  createRegistry,
  defaultUploadOptions,
  type OpenRegistry,
  type RegistryDeps,
  type UploadOptions,
} from './registry.ts';
import type { Published } from './types.ts';

export const module = 'corp.test/lib';
export const modulePath = parseModulePath(module);

export const mebibyte = 1024 * 1024;

export function v(text: string): Version {
  return text as Version;
}

export interface TestRegistry {
  readonly folder: string;
  readonly store: FsStore;
  readonly registry: OpenRegistry;
  readonly changed: string[];
  /** A further process on the folder. */
  other(options?: RegistryTestOptions): Promise<TestRegistry>;
  publish(zip: Buffer, version?: string, more?: Partial<UploadTestOptions>): Promise<Published>;
  stored(version: string, ext: ArtifactExt): Promise<Buffer | undefined>;
}

export interface UploadTestOptions {
  readonly path: ModulePath;
  readonly body: AsyncIterable<Buffer>;
  readonly declaredBytes: number | undefined;
  readonly who: string;
  readonly signal: AbortSignal;
}

export interface RegistryTestOptions {
  readonly folder?: string;
  readonly clock?: Clock;
  readonly upload?: Partial<UploadOptions>;
  /** How many uploads at once, of all and of one publisher, and how long others wait. */
  readonly places?: Pick<RegistryDeps, 'maxUploads' | 'maxUploadsEach' | 'maxPlaceWaitMs'>;
  /** Puts something between the registry and the store. */
  readonly wrap?: (store: Store) => Store;
}

export async function testRegistry(options: RegistryTestOptions = {}): Promise<TestRegistry> {
  const { clock = systemClock, wrap = (store) => store } = options;
  const folder = options.folder ?? tempFolder();
  const store = await openFsStore({ folder, clock });
  const zips = new ZipVerifier();
  const changed: string[] = [];
  const registry = await createRegistry({
    store: wrap(store),
    zips,
    clock,
    metaFolder: join(folder, 'meta'),
    options: () => ({ ...defaultUploadOptions, limits: { zipBytes: 10 * mebibyte }, ...options.upload }),
    ...options.places,
    onChanged: (path, version) => changed.push(`${path}@${version}`),
  });
  onTestFinished(async () => {
    registry.close();
    await registry.settled;
    await store.close();
    await zips.close();
  });
  return {
    folder,
    store,
    registry,
    changed,
    other: (more = {}) => testRegistry({ ...more, folder }),
    publish: (zip, version = 'v1.0.0', more = {}) =>
      registry.publish({
        path: modulePath,
        version: v(version),
        body: chunksOf(zip),
        declaredBytes: zip.length,
        who: 'token:ci',
        signal: new AbortController().signal,
        ...more,
      }),
    async stored(version, ext) {
      const file = await store.open(keyOf(version, ext));
      const body = await file?.readAll();
      await file?.close();
      return body;
    },
  };
}

export function keyOf(version: string, ext: ArtifactExt): ArtifactKey {
  return { path: modulePath, version: v(version), ext };
}

export function libModule(options: Partial<FakeModuleOptions> = {}): FakeModule {
  return fakeModule({ path: module, ...options });
}

/** In several pieces, each in a turn of its own. */
export async function* chunksOf(body: Buffer, chunkBytes = 64 * 1024): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += chunkBytes) {
    await Promise.resolve();
    yield body.subarray(at, at + chunkBytes);
  }
}

export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'modferry-publish-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The store with single methods replaced. */
export function storeWith(store: Store, replaced: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(name in replaced ? replaced : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
