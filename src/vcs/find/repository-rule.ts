/**
 * The operator's own words on where Git repositories are: patterns of module paths, the part of a path that is the
 * repository, and a template of its URL. Checked once, then pure text but for the probing of `root: probe`.
 */

import { splitPathVersion } from '../../gomod/module-path.ts';
import { compilePatterns, patternFault } from '../../gomod/module-pattern.ts';
import { ModferryError } from '../../lib/errors.ts';

/**
 * Which part of a module path is the repository.
 * - `explicit`: this module path. Modules elsewhere are left to the next rule.
 * - `depth`: that many elements, the host counted: 3 is `git.corp.example/team/repo`.
 * - `probe`: repositories are asked for, by the longest or shortest prefix first: for GitLab's sub-groups.
 */
export type RuleRoot =
  | { readonly kind: 'explicit'; readonly path: string }
  | { readonly kind: 'depth'; readonly elements: number }
  | { readonly kind: 'probe'; readonly order: 'longest' | 'shortest' };

export interface RepositoryRule {
  /** As in GOPRIVATE. */
  readonly patterns: readonly string[];
  /**
   * URL of the repository. `{host}`: first element of the root; `{path}`: the others, without a `.git` at the end;
   * `{name}`: the last of them. `ssh://git@git.corp.example/{path}.git`, `https://git.corp.example/{path}`. https, ssh,
   * http or file; never with a password.
   */
  readonly url: string;
  /** Default: `probe`, the longest first. An element with `.git` at its end always ends the root, except `explicit`. */
  readonly root?: RuleRoot | undefined;
  /** Sub-directory of the repository that stands for its root. Default: its top. */
  readonly subdir?: string | undefined;
}

/** One place that a rule says a module may be at. */
export interface RuleCandidate {
  readonly root: string;
  readonly url: string;
}

export interface CompiledRule {
  readonly subdir: string;
  /** Host and port that stand in the template itself: chosen by the operator. Undefined: by who asks. */
  readonly fixedHost: string | undefined;
  /** More than one: to be probed in this order. Undefined: it says nothing of this path. */
  candidates(path: string): readonly RuleCandidate[] | undefined;
  /** It is for this path, which has too few elements to be one of its repositories. */
  isAbove(path: string): boolean;
}

/** Deeper repositories are not probed for: each prefix costs a question. */
const maxProbedElements = 10;
const suffix = /\.git$/;

/** Throws ModferryError `repository_rule` with a sentence that names what is wrong. */
export function compileRule(rule: RepositoryRule, canProbe: boolean): CompiledRule {
  const { url, root = { kind: 'probe', order: 'longest' }, subdir = '' } = rule;
  const fault = faultOf(rule) ?? (root.kind === 'probe' && !canProbe ? probeFault : undefined);
  if (fault !== undefined) throw new ModferryError('repository_rule', `The repository rule ${fault}`);
  const matches = compilePatterns(rule.patterns.join(','));
  return {
    subdir,
    fixedHost: /^[a-z]+:\/\/[^/]*\{/.test(url) ? undefined : URL.parse(url)?.host,
    candidates(path) {
      if (!matches(path)) return undefined;
      const roots = rootsOf(path, root);
      return roots?.map((one) => ({ root: one, url: expand(url, one) }));
    },
    isAbove: (path) => root.kind === 'depth' && matches(path) && rootsOf(path, root) === undefined,
  };
}

function rootsOf(path: string, root: RuleRoot): readonly string[] | undefined {
  if (root.kind === 'explicit') {
    return path === root.path || path.startsWith(`${root.path}/`) ? [root.path] : undefined;
  }
  const elements = path.split('/');
  const marked = elements.findIndex((element, index) => index > 0 && suffix.test(element));
  if (marked > 0) return [elements.slice(0, marked + 1).join('/')];
  if (root.kind === 'depth') {
    return elements.length < root.elements ? undefined : [elements.slice(0, root.elements).join('/')];
  }
  return probedRoots(path, elements, root.order);
}

/** Empty for a host alone: no repository is that high. */
function probedRoots(path: string, elements: readonly string[], order: 'longest' | 'shortest'): string[] {
  const most = Math.min(elements.length, maxProbedElements);
  const roots = Array.from({ length: Math.max(0, most - 1) }, (_, index) =>
    elements.slice(0, index + 2).join('/'),
  );
  if (order === 'shortest') return roots;
  roots.reverse();
  // `/v2` is nearly always a major version, hardly ever the name of a repository.
  const hasMajor = splitPathVersion(path)?.pathMajor.startsWith('/v') === true;
  const [first] = roots;
  return hasMajor && first === path && roots.length > 1 ? [...roots.slice(1), path] : roots;
}

function expand(template: string, root: string): string {
  const [host = '', ...rest] = root.split('/');
  const path = rest.join('/').replace(suffix, '');
  const values: Readonly<Record<string, string>> = { host, path, name: path.split('/').at(-1) ?? '' };
  return template.replaceAll(/\{([^}]*)\}/g, (whole, name: string) => values[name] ?? whole);
}

const probeFault =
  'has root `probe`, but nothing here can ask for repositories; give a depth or the path of the root.';

function faultOf({ patterns, url, root, subdir = '' }: RepositoryRule): string | undefined {
  if (patterns.length === 0) return `for ${quoted(url)} has no pattern; name the module paths it is for.`;
  for (const pattern of patterns) {
    const fault = patternFault(pattern);
    if (fault !== undefined) return `for ${quoted(pattern)} cannot be used. ${fault}`;
  }
  const fault = templateFault(url) ?? rootFault(root) ?? subdirFault(subdir);
  return fault === undefined ? undefined : `for ${patterns.join(', ')} ${fault}`;
}

function templateFault(url: string): string | undefined {
  const unknown = [...url.matchAll(/\{([^}]*)\}?/g)].find(
    ([whole, name = '']) => !whole.endsWith('}') || !['host', 'path', 'name'].includes(name),
  );
  if (unknown !== undefined) {
    return `has ${quoted(unknown[0])} in its URL; only {host}, {path} and {name} are known.`;
  }
  if (/^[^/:]+@[^/:]+:/.test(url) && !url.includes('://')) {
    return `has a URL of scp's kind, ${quoted(url)}; write ssh://user@host/path instead.`;
  }
  const filled = url.replaceAll(/\{[^}]*\}/g, 'x');
  if (!URL.canParse(filled) || !/^(?:https?|ssh|file):\/\//.test(filled)) {
    return `has the URL ${quoted(url)}; write an https, ssh, http or file URL.`;
  }
  const { password, username, search, hash, hostname } = new URL(filled);
  if (password !== '' || (username !== '' && !filled.startsWith('ssh:'))) {
    return 'has credentials in its URL; put them where credentials of hosts belong.';
  }
  if (search !== '' || hash !== '') return `has a query or fragment in its URL ${quoted(url)}; remove it.`;
  // oxlint-disable-next-line no-control-regex -- what must not reach a command line
  if (/[\s\u0000-\u001f\u007f]/.test(url) || hostname.startsWith('-') || username.startsWith('-')) {
    return `has the URL ${quoted(url)}, which could be taken for an option; correct it.`;
  }
  return undefined;
}

function rootFault(root: RuleRoot | undefined): string | undefined {
  if (root?.kind === 'depth' && !(Number.isInteger(root.elements) && root.elements >= 1)) {
    return `has the depth ${root.elements}; count the elements of the root, the host included.`;
  }
  if (root?.kind === 'explicit' && !/^[^/\s]+(?:\/[^/\s]+)*$/.test(root.path)) {
    return `has the root ${quoted(root.path)}; write a module path, e.g. git.example.com/team/repo.`;
  }
  return undefined;
}

/** Why a sub-directory of a repository may not be used, to stand behind the words that name it; undefined: it may. */
export function subdirFault(subdir: string): string | undefined {
  if (subdir === '') return undefined;
  const elements = subdir.split('/');
  // oxlint-disable-next-line no-control-regex -- what must not reach a command line
  const isBad = /^[-/]|[\\:\u0000-\u001f\u007f]/.test(subdir) || subdir.length > 1024;
  return isBad || elements.some((one) => one === '' || one === '.' || one === '..')
    ? `has the sub-directory ${quoted(subdir)}, which is no plain path below the top.`
    : undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 199)}…` : text);
}
