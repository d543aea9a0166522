/**
 * `@v/list` bodies: what an upstream sent, read with care, and what we answer. The union of several lists and the
 * question which versions are stored belong to `proxy/`. See https://go.dev/ref/mod#goproxy-protocol.
 */
import { isUtf8 } from 'node:buffer';
import { ContentError } from './content-error.ts';
import { looksLikeHtml } from './html.ts';
import { quoteForMessage } from './invalid-request.ts';
import { isValid } from './semver.ts';
import type { Version } from './types.ts';
import { isCanonical, isPseudoVersion, maxVersionLength, sortVersions } from './version.ts';

/** A module with 100,000 versions stays below 4 MiB. */
export const maxListBytes = 4 * 1024 * 1024;

export interface VersionList {
  /** Canonical ones, pseudo-versions included, in the order sent, each once. */
  readonly versions: readonly Version[];
  /** Lines left out because their first field is no canonical version. */
  readonly droppedLines: number;
  /** The first of them, quoted and shortened, for an event. */
  readonly droppedExample: string | undefined;
}

/**
 * Reads a list line by line: the first field is the version, a second one (a time) is allowed and not used. An
 * empty body is a module without tags. Throws ContentError: `html` for a page, `bad_list` for more than 4 MiB,
 * bytes that are not UTF-8, or a body in which no line at all is a semantic version.
 */
export function readList(bytes: Uint8Array): VersionList {
  if (bytes.byteLength > maxListBytes) {
    throw new ContentError('bad_list', `the list is larger than ${maxListBytes} bytes`);
  }
  if (looksLikeHtml(undefined, bytes)) throw new ContentError('html', 'the list is a web page');
  if (!isUtf8(bytes)) throw new ContentError('bad_list', 'the list is not UTF-8');
  const versions = new Set<Version>();
  let droppedLines = 0;
  let droppedExample: string | undefined;
  let isList = false;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  for (const line of text.split('\n')) {
    const field = /^\s*(\S+)/.exec(line)?.[1];
    if (field === undefined) continue;
    if (field.length <= maxVersionLength && isCanonical(field)) {
      isList = true;
      versions.add(field);
      continue;
    }
    isList ||= isValid(field);
    droppedLines += 1;
    droppedExample ??= quoteForMessage(line.trim());
  }
  if (droppedLines > 0 && !isList) {
    throw new ContentError('bad_list', `the list holds no version; it begins with ${droppedExample ?? ''}`);
  }
  return { versions: [...versions], droppedLines, droppedExample };
}

/** The versions of `readList`, for callers that do not report what was dropped. */
export function parseList(bytes: Uint8Array): Version[] {
  return [...readList(bytes).versions];
}

/**
 * The body of a list: one canonical version a line, each once, in semantic order. Others are left out, and so are
 * pseudo-versions unless `pseudo` is set (default false), as over HTTP; the stored list has them (ruling 14).
 */
export function formatList(versions: Iterable<string>, options: { pseudo?: boolean } = {}): string {
  const unique = [...new Set(versions)].filter(
    (version) => isCanonical(version) && (options.pseudo === true || !isPseudoVersion(version)),
  );
  return sortVersions(unique)
    .map((version) => `${version}\n`)
    .join('');
}
