/**
 * Repositories that nobody has asked for yet, from the rules that say where repositories are, read backwards: so that
 * the first tag of a module is understood. Only what a rule leads to is one; nothing is asked here.
 */
import { isModulePath } from '../gomod/module-path.ts';
import { compileRule, type RepositoryRule } from '../vcs/find/repository-rule.ts';
import { type KnownRepository, repositoryKey } from '../vcs/module-register.ts';

export type DerivedRepositories = (url: string) => readonly KnownRepository[];

/** `mayTake`: for module paths that are served from their repositories. Throws as `compileRule`. */
export function deriveRepositories(
  rules: readonly RepositoryRule[],
  mayTake: (path: string) => boolean,
): DerivedRepositories {
  const readers = rules.map((rule) => ({ compiled: compileRule(rule, true), rootsAt: backwards(rule) }));
  return (url) => {
    const address = addressOf(url);
    const key = repositoryKey(url);
    if (address === undefined || key === undefined) return [];
    for (const { compiled, rootsAt } of readers) {
      const found = rootsAt(address).flatMap((root): KnownRepository[] => {
        if (!isModulePath(root) || !mayTake(root)) return [];
        // What an earlier rule says of a path counts, so the whole list is asked the way it is meant.
        const first = readers.map((one) => one.compiled.candidates(root)).find((one) => one !== undefined);
        const place = first?.find((one) => one.root === root && repositoryKey(one.url) === key);
        return place === undefined ? [] : [{ url: place.url, root, subdir: compiled.subdir, paths: [] }];
      });
      if (found.length > 0) return found;
    }
    return [];
  };
}

/** Module paths whose repository may be at an address, by this rule. */
function backwards({ patterns, url, root }: RepositoryRule): (address: string) => readonly string[] {
  const template = addressOf(url.replaceAll(/\{(\w+)\}/g, 'PLACE-$1-PLACE'));
  if (template === undefined) return () => [];
  const seen = new Set<string>();
  const source = template.split(/place-(\w+)-place/i).map((part, at) => {
    if (at % 2 === 0) return part.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    const isFirst = !seen.has(part);
    seen.add(part);
    return isFirst ? `(?<${part}>${part === 'path' ? '.+' : '[^/]+'})` : String.raw`\k<${part}>`;
  });
  const shape = new RegExp(`^${source.join('')}$`, 'i');
  const hosts = new Set(patterns.map((pattern) => pattern.split('/', 1)[0] ?? ''));
  return (address) => {
    const groups = shape.exec(address)?.groups;
    if (groups === undefined && !shape.test(address)) return [];
    if (root?.kind === 'explicit') return [root.path];
    const { host, path } = groups ?? {};
    // `{name}` alone does not say whose it is.
    if (path === undefined) return [];
    return host === undefined ? [...hosts].map((one) => `${one}/${path}`) : [`${host}/${path}`];
  };
}

/** Host in lower case and path as it is written, without user, port, `.git` and slashes at its end. */
function addressOf(url: string): string | undefined {
  if (url.length > 2048) return undefined;
  const [, scpHost, scpPath] = /^(?:[^@/:\s]+@)?([^@/:\s]+):(?!\/\/)\/?([^\s]+)$/.exec(url) ?? [];
  const parsed = URL.parse(scpHost === undefined ? url : `ssh://${scpHost}/${scpPath ?? ''}`);
  if (parsed === null) return undefined;
  const path = parsed.pathname.replace(/\/+$/, '').replace(/\.git$/i, '');
  return path === '' ? undefined : `${parsed.hostname.toLowerCase().replace(/\.$/, '')}${path}`;
}
