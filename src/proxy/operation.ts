/** What a protocol path asks for, after its checks: the input of the use cases. */
import type { ArtifactKey, ModulePath, VersionQuery } from '../gomod/types.ts';

export type Operation =
  | { readonly kind: 'artifact'; readonly key: ArtifactKey }
  | { readonly kind: 'query'; readonly path: ModulePath; readonly query: VersionQuery }
  | { readonly kind: 'list'; readonly path: ModulePath }
  | { readonly kind: 'latest'; readonly path: ModulePath }
  /** `rest` is what follows `/sumdb/`, decoded once. */
  | { readonly kind: 'sumdb'; readonly rest: string };
