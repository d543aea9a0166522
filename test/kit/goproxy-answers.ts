/**
 * What a good GOPROXY server answers, from modules in memory and from a folder in Go's download-cache layout: the
 * part of the fake upstream that knows the protocol (https://go.dev/ref/mod#goproxy-protocol) and nothing of HTTP
 * connections. Files of the folder are sent as they are; lists and @latest are computed where no file has them.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FakeModule } from './fake-module.ts';
import { compareVersions, escapeName, isPseudoVersion, latestOf, unescapeName } from './go-names.ts';
import { bytesReply, fileReply, type Reply, textReply } from './reply.ts';

export interface AnswerSources {
  /** By `path@version`. Changes count at once. */
  readonly modules: ReadonlyMap<string, FakeModule>;
  /** A folder like GOMODCACHE/cache/download. */
  readonly root: string | undefined;
  /** `path@query` → version; the query `latest` overrides what @latest would give. */
  readonly queries: ReadonlyMap<string, string>;
}

/** Answers a protocol path (percent-decoded, still escaped by Go's rules, without prefix). */
export async function answer(sources: AnswerSources, path: string): Promise<Reply> {
  const latest = /^\/(.+)\/@latest$/.exec(path);
  const file = /^\/(.+)\/@v\/([^/]+)$/.exec(path);
  const escaped = (latest ?? file)?.[1];
  if (escaped === undefined || path.split('/').includes('..')) return notFound(path, 'no such page');
  const name = file?.[2];
  if (name === 'list') return list(sources, escaped);
  if (name === undefined) return info(sources, escaped, 'latest');
  const dot = name.lastIndexOf('.');
  const [version, ext] = [unescapeName(name.slice(0, dot)), name.slice(dot + 1)];
  if (ext === 'info') return info(sources, escaped, version);
  if (ext === 'mod' || ext === 'zip') {
    return (
      (await artifact(sources, escaped, version, ext)) ?? notFound(escaped, `unknown revision ${version}`)
    );
  }
  return notFound(path, 'no such page');
}

async function list(sources: AnswerSources, escaped: string): Promise<Reply> {
  const stored =
    sources.root && (await fileReply('text/plain; charset=utf-8', join(sources.root, escaped, '@v/list')));
  if (stored) return stored;
  const versions = await knownVersions(sources, escaped);
  if (versions.length === 0) return notFound(escaped, 'unknown module');
  const tags = versions.filter((version) => !isPseudoVersion(version)).sort(compareVersions);
  return bytesReply('text/plain; charset=utf-8', Buffer.from(tags.map((tag) => `${tag}\n`).join('')));
}

async function info(sources: AnswerSources, escaped: string, query: string): Promise<Reply> {
  const version =
    sources.queries.get(`${unescapeName(escaped)}@${query}`) ??
    (query === 'latest' ? latestOf(await knownVersions(sources, escaped)) : query);
  const found = version === undefined ? undefined : await artifact(sources, escaped, version, 'info');
  return found ?? notFound(escaped, `unknown revision ${query}`);
}

async function artifact(
  sources: AnswerSources,
  escaped: string,
  version: string,
  ext: 'info' | 'mod' | 'zip',
): Promise<Reply | undefined> {
  const type = { info: 'application/json', mod: 'text/plain; charset=utf-8', zip: 'application/zip' }[ext];
  const module = sources.modules.get(`${unescapeName(escaped)}@${version}`);
  if (module) return bytesReply(type, module[ext]);
  if (sources.root === undefined) return undefined;
  return fileReply(type, join(sources.root, escaped, '@v', `${escapeName(version)}.${ext}`));
}

async function knownVersions(sources: AnswerSources, escaped: string): Promise<string[]> {
  const path = unescapeName(escaped);
  const versions = [...sources.modules.values()]
    .filter((known) => known.path === path)
    .map(({ version }) => version);
  if (sources.root !== undefined) {
    const files = await readdir(join(sources.root, escaped, '@v')).catch(() => []);
    versions.push(
      ...files
        .filter((file) => file.endsWith('.info'))
        .map((file) => unescapeName(file.slice(0, -'.info'.length))),
    );
  }
  return [...new Set(versions)];
}

function notFound(what: string, why: string): Reply {
  return textReply(404, `not found: ${what}: ${why}\n`);
}
