/** The `h1:` hashes of a made-up module, computed from the bytes that are served and not from what it says of itself. */
import { type FakeModule, hash1 } from './fake-module.ts';
import { zipEntries } from './zip-variants.ts';

/** What a checksum database knows of a module version. */
export interface ModuleHashes {
  readonly path: string;
  readonly version: string;
  /** `h1:` hash of the zip's tree. */
  readonly zipH1: string;
  /** `h1:` hash of go.mod. */
  readonly modH1: string;
}

/** Hashes of the zip and the .mod as they are, e.g. of `{ ...module, zip: zipWithOneFileChanged(module) }`. */
export function hashesOf(module: Pick<FakeModule, 'path' | 'version' | 'zip' | 'mod'>): ModuleHashes {
  return {
    path: module.path,
    version: module.version,
    zipH1: hash1(zipEntries(module.zip)),
    modH1: hash1([{ name: 'go.mod', content: module.mod }]),
  };
}
