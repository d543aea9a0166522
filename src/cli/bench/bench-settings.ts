/** What to measure: the arguments and the configuration, made into mirrors and modules. */
import type { Config, UpstreamEntry } from '../../config/snapshot.ts';
import { messageOf } from '../../lib/errors.ts';
import { Secret } from '../../lib/secret.ts';
import { directRule } from '../../outbound/proxy-rule.ts';
import type { UpstreamMember } from '../../service/upstream-set.ts';
import { GoproxyError, parseGoproxy } from '../../upstream/goproxy-list.ts';
import { CliError } from '../cli-error.ts';
import { parseModuleArgument, splitAtVersion } from '../module-argument.ts';
import type { BenchMirror, BenchModule } from './bench-types.ts';

const maxModules = 50;
const maxMirrors = 50;

function common(module: string, zipH1: string): BenchModule {
  const { path, version = 'latest' } = parseModuleArgument(module);
  return { path, query: version, zipH1 };
}

/** Every public mirror has them: a small, a middling and a large zip. The hashes are those of the checksum database. */
export function commonModules(): BenchModule[] {
  return [
    common('github.com/pkg/errors@v0.9.1', 'h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4='),
    common('github.com/stretchr/testify@v1.8.4', 'h1:CcVxjf3Q8PM0mHUKJCdn+eZZtm5yQwehR5yeSVQQcUk='),
    common('golang.org/x/text@v0.14.0', 'h1:ScX5w1eTa3QqT8oi6+ziP7dTV1S2+ALU0bI+0zXKWiQ='),
  ];
}

/** `MODULE@VERSION` and `MODULE@latest`, each once; the common ones for none. Throws CliError `usage`. */
export function parseModules(texts: readonly string[]): BenchModule[] {
  if (texts.length === 0) return commonModules();
  const modules = new Map<string, BenchModule>();
  for (const text of texts) {
    const { pathText, versionText } = splitAtVersion(text);
    if (versionText === undefined) {
      throw new CliError(
        'usage',
        `"${text}" has no version; write ${text}@latest, or one in full: ${text}@v1.2.3`,
      );
    }
    const isLatest = versionText === 'latest';
    const { path, version } = parseModuleArgument(isLatest ? pathText : text);
    modules.set(text, { path, query: version ?? 'latest' });
  }
  if (modules.size > maxModules) throw new CliError('usage', `more than ${maxModules} modules; name fewer`);
  return [...modules.values()];
}

/**
 * URLs and lists as in GOPROXY, as entries of a configuration. One that the configuration has as well brings its
 * settings from there. Throws CliError `usage`.
 */
export function parseMirrors(texts: readonly string[], configured: Config['upstreams']): UpstreamEntry[] {
  const known = new Map<string, UpstreamEntry>();
  for (const entry of configured ?? []) {
    if (entry.kind === 'server') known.set(entry.url, entry);
    else for (const one of splitList(entry.list.reveal())) known.set(one.url, one.entry);
  }
  const wanted = new Map<string, UpstreamEntry>();
  for (const text of texts) {
    for (const { url, entry, hasAuth } of checkedList(text)) {
      wanted.set(url, hasAuth ? entry : (known.get(url) ?? entry));
    }
  }
  if (wanted.size > maxMirrors) throw new CliError('usage', `more than ${maxMirrors} mirrors; name fewer`);
  return [...wanted.values()];
}

/** How the bench reaches the upstreams that `serve` would use. */
export function mirrorsOf(members: readonly UpstreamMember[]): BenchMirror[] {
  return members.map(({ upstream, url, options }) => ({
    name: upstream.name,
    url,
    isPrivate: upstream.isPrivate,
    auth: options.auth,
    proxy: options.proxy ?? directRule,
    caFile: options.caFile,
    clientCertificate: options.clientCertificate,
  }));
}

interface ListWord {
  readonly url: string;
  readonly hasAuth: boolean;
  readonly entry: UpstreamEntry;
}

function checkedList(text: string): ListWord[] {
  let words: ListWord[];
  try {
    words = splitList(text);
  } catch (error) {
    if (!(error instanceof GoproxyError)) throw error;
    throw new CliError('usage', `a mirror cannot be used: ${messageOf(error)}`, { cause: error });
  }
  if (words.length > 0) return words;
  throw new CliError('usage', 'the list names no server to measure; write e.g. https://goproxy.cn');
}

/** Throws GoproxyError. */
function splitList(text: string): ListWord[] {
  const { entries } = parseGoproxy(text);
  // Each word alone, credentials included: they belong to it.
  const words = text.split(/[,|]/).map((word) => word.trim());
  return entries.map((entry) => {
    const word = words.find((each) => isWordOf(each, entry.url)) ?? entry.url;
    return {
      url: entry.url,
      hasAuth: entry.auth !== undefined,
      entry: { kind: 'goproxy', list: new Secret(word) },
    };
  });
}

function isWordOf(word: string, url: string): boolean {
  if (word === '' || word === 'direct' || word === 'off') return false;
  try {
    return parseGoproxy(word).entries[0]?.url === url;
  } catch {
    return false;
  }
}
