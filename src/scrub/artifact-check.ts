/**
 * Holds one stored artifact against what is recorded of it: size, SHA-256, the `h1:` hash of zip and go.mod, Go's
 * `.ziphash`. Reads and changes nothing else. One pass over the file; the tree of a zip is hashed in a second one only
 * where it is asked for or the first one leaves a doubt.
 */
import { readFile } from 'node:fs/promises';
import type { ArtifactKey } from '../gomod/types.ts';
import { errnoOf, messageOf } from '../lib/errors.ts';
import type { ArtifactRecord, Store } from '../store/store.ts';
import { hash1 } from '../zip/module-tree.ts';
import type { ZipVerifier } from '../zip/verify-pool.ts';
import { ZipError } from '../zip/zip-types.ts';
import type { Hasher, HashOptions } from './file-hasher.ts';

export type FaultKind =
  /** Bytes differ from the recorded size or SHA-256. */
  | 'changed'
  /** The `h1:` hash of the content differs from the recorded one. */
  | 'h1'
  /** `.ziphash` is missing or names another hash. */
  | 'ziphash'
  /** No module zip by Go's rules. */
  | 'zip'
  /** Could not be read. */
  | 'unreadable';

export interface ArtifactFault {
  readonly kind: FaultKind;
  /** A sentence. */
  readonly detail: string;
}

/**
 * `good`; `renew`: the content is what was published, what is recorded of it is not; `rotten`: the content is not what
 * was published; `unreadable`: nobody knows.
 */
export type Verdict = 'good' | 'renew' | 'rotten' | 'unreadable';

export interface CheckedArtifact {
  readonly verdict: Verdict;
  /** What it was held against. */
  readonly record: ArtifactRecord;
  /** Of the file as it is; 0 when unreadable. */
  readonly sizeBytes: number;
  /** Of the file as it is; undefined when unreadable. */
  readonly sha256: string | undefined;
  /** Of the content as it is: always for a .mod, for a zip where its tree was hashed. */
  readonly h1: string | undefined;
  /** Errno of an unreadable file. */
  readonly errno?: string | undefined;
  readonly faults: readonly ArtifactFault[];
}

/** Where files of the store are; `Layout` of `store/fs/` is one. */
export interface ArtifactPaths {
  artifact(key: ArtifactKey): string;
  /** Of Go's `.ziphash` beside a zip. */
  zipHash(key: ArtifactKey): string;
}

export interface ArtifactCheckDeps {
  readonly store: Pick<Store, 'versions'>;
  readonly paths: ArtifactPaths;
  readonly hasher: Hasher;
  readonly zips: Pick<ZipVerifier, 'verify'>;
}

export interface CheckOptions extends HashOptions {
  /** Hashes the tree of every zip. Default false: where there is a doubt. */
  readonly deep?: boolean | undefined;
}

/** A file may be purged and published anew while it is read, but hardly so often. */
const maxTries = 3;
const absences = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'];

export class ArtifactCheck {
  readonly #deps: ArtifactCheckDeps;

  constructor(deps: ArtifactCheckDeps) {
    this.#deps = deps;
  }

  /** Undefined when it is not stored (any more). Rejects with the signal's reason, or errors of our own threads. */
  async check(
    key: ArtifactKey,
    record: ArtifactRecord,
    options: CheckOptions = {},
  ): Promise<CheckedArtifact | undefined> {
    let against = record;
    for (let tries = 1; ; tries += 1) {
      let found: Found;
      try {
        found = await this.#deps.hasher.hash(this.#deps.paths.artifact(key), options);
      } catch (error) {
        return unlessGone(error, against, options);
      }
      if (found.sizeBytes === against.sizeBytes && found.sha256 === against.sha256) {
        return await this.#checkTold(key, against, found, options);
      }
      const now = await this.#recorded(key);
      if (now === undefined) return undefined;
      if (now.sha256 === against.sha256 || tries === maxTries) {
        return await this.#checkChanged(key, against, found, options);
      }
      // Published anew since the record was read.
      against = now;
    }
  }

  /** The `h1:` hash of a stored zip's tree. Rejects with ZipError, or the signal's reason. */
  async treeHash(key: ArtifactKey, signal?: AbortSignal): Promise<string> {
    const { h1 } = await this.#deps.zips.verify({
      file: this.#deps.paths.artifact(key),
      path: key.path,
      version: key.version,
      // What was published once passed whatever held then.
      extraRules: 'report',
      signal,
    });
    return h1;
  }

  /** Bytes are as recorded; now the record against the content, in case the record itself was changed. */
  async #checkTold(
    key: ArtifactKey,
    record: ArtifactRecord,
    found: Found,
    options: CheckOptions,
  ): Promise<CheckedArtifact | undefined> {
    const about = { record, ...found };
    if (key.ext === 'info') return { ...about, verdict: 'good', h1: undefined, faults: [] };
    if (key.ext === 'mod') {
      const h1 = goModH1(found.sha256);
      if (record.h1 === undefined || record.h1 === h1) return { ...about, verdict: 'good', h1, faults: [] };
      const detail = `its hash is ${h1}, recorded is ${record.h1}`;
      return { ...about, verdict: 'renew', h1, faults: [{ kind: 'h1', detail }] };
    }
    const named = await this.#zipHash(key);
    // A record that was rebuilt says what is there, not what was published.
    const isRebuilt = record.source === 'unknown' && record.proof === undefined;
    const isSure = record.h1 !== undefined && named === record.h1 && !isRebuilt;
    if (isSure && options.deep !== true) return { ...about, verdict: 'good', h1: undefined, faults: [] };
    const tree = await this.#tree(key, options);
    if (tree === undefined) return undefined;
    if (tree.h1 === undefined) {
      // These very bytes were verified when they were published: no later opinion takes them out.
      const verdict = tree.verdict === 'rotten' && !isRebuilt ? 'good' : tree.verdict;
      return { ...about, verdict, h1: undefined, faults: [tree.fault] };
    }
    const { h1 } = tree;
    const faults: ArtifactFault[] = [];
    if (record.h1 !== undefined && record.h1 !== h1) {
      faults.push({ kind: 'h1', detail: `its hash is ${h1}, recorded is ${record.h1}` });
    }
    if (named !== h1) faults.push({ kind: 'ziphash', detail: zipHashFault(h1, named) });
    if (faults.length === 0) return { ...about, verdict: record.h1 === h1 ? 'good' : 'renew', h1, faults };
    const isKnownContent = record.h1 === h1 || named === h1 || (record.h1 ?? named) === undefined;
    return { ...about, verdict: isKnownContent ? 'renew' : 'rotten', h1, faults };
  }

  /** Other bytes than recorded: the same content in other bytes is fine, and only `h1:` can say that. */
  async #checkChanged(
    key: ArtifactKey,
    record: ArtifactRecord,
    found: Found,
    options: CheckOptions,
  ): Promise<CheckedArtifact | undefined> {
    const about = { record, ...found };
    const changed: ArtifactFault = {
      kind: 'changed',
      detail:
        found.sizeBytes === record.sizeBytes
          ? `its SHA-256 is ${found.sha256}, recorded is ${record.sha256}`
          : `it has ${found.sizeBytes} bytes, recorded are ${record.sizeBytes}`,
    };
    if (key.ext === 'info') return { ...about, verdict: 'rotten', h1: undefined, faults: [changed] };
    if (key.ext === 'mod') {
      const h1 = goModH1(found.sha256);
      return { ...about, verdict: record.h1 === h1 ? 'renew' : 'rotten', h1, faults: [changed] };
    }
    const tree = await this.#tree(key, options);
    if (tree === undefined) return undefined;
    if (tree.h1 === undefined) {
      return { ...about, verdict: tree.verdict, h1: undefined, faults: [changed, tree.fault] };
    }
    const expected = record.h1 ?? (await this.#zipHash(key));
    return { ...about, verdict: expected === tree.h1 ? 'renew' : 'rotten', h1: tree.h1, faults: [changed] };
  }

  /** Undefined when it is not stored any more. */
  async #tree(key: ArtifactKey, { signal }: CheckOptions): Promise<Tree | undefined> {
    try {
      return { h1: await this.treeHash(key, signal) };
    } catch (error) {
      if (!(error instanceof ZipError)) throw error;
      if (error.code === 'verifier_closed') throw error;
      if (!error.code.startsWith('verifier_')) {
        return { h1: undefined, verdict: 'rotten', fault: { kind: 'zip', detail: messageOf(error) } };
      }
      if ((await this.#recorded(key)) === undefined) return undefined;
      return {
        h1: undefined,
        verdict: 'unreadable',
        fault: { kind: 'unreadable', detail: messageOf(error) },
      };
    }
  }

  /** What is recorded now; undefined when it is not stored. */
  async #recorded(key: ArtifactKey): Promise<ArtifactRecord | undefined> {
    for await (const { path, version, artifacts } of this.#deps.store.versions(key.path)) {
      if (path === key.path && version === key.version) return artifacts[key.ext];
    }
    return undefined;
  }

  async #zipHash(key: ArtifactKey): Promise<string | undefined> {
    try {
      return (await readFile(this.#deps.paths.zipHash(key), 'utf8')).trim();
    } catch {
      // Missing or unreadable: the tree is hashed, and it is written anew.
      return undefined;
    }
  }
}

interface Found {
  readonly sizeBytes: number;
  readonly sha256: string;
}

type Tree =
  | { readonly h1: string }
  | { readonly h1: undefined; readonly verdict: 'rotten' | 'unreadable'; readonly fault: ArtifactFault };

function unlessGone(
  error: unknown,
  record: ArtifactRecord,
  { signal }: CheckOptions,
): CheckedArtifact | undefined {
  if (signal?.aborted === true) throw error;
  const errno = errnoOf(error);
  // Without a code it is no fault of the file, but of the thread that reads.
  if (errno === undefined) throw error;
  if (absences.includes(errno)) return undefined;
  const fault: ArtifactFault = { kind: 'unreadable', detail: `it cannot be read: ${messageOf(error)}` };
  return {
    verdict: 'unreadable',
    record,
    sizeBytes: 0,
    sha256: undefined,
    h1: undefined,
    errno,
    faults: [fault],
  };
}

function zipHashFault(h1: string, named: string | undefined): string {
  if (named === undefined) return 'it has no .ziphash beside it';
  return `its hash is ${h1}, .ziphash says ${named.slice(0, 100)}`;
}

/** dirhash.Hash1 of a tree that is one file named go.mod. */
function goModH1(sha256: string): string {
  return hash1([{ name: 'go.mod', sha256 }]);
}
