/**
 * Module paths that name their repository themselves: hosts that the go command knows, and paths with an element like
 * `repo.git`. Pure text; nothing is asked.
 * @see https://go.dev/ref/mod#vcs-find
 */
import { type Vcs, VcsError } from '../types.ts';

/** What such a path says. */
export type NamedRepository =
  /** On a host that is known: there is one URL. */
  | { readonly kind: 'known'; readonly vcs: Vcs; readonly root: string; readonly url: string }
  /** By its suffix: the scheme is not said. `address` is host and path, without the suffix. */
  | { readonly kind: 'suffix'; readonly vcs: Vcs; readonly root: string; readonly address: string };

interface KnownHost {
  readonly prefix: string;
  readonly vcs: Vcs;
  /** Elements of the root, the host included. */
  readonly elements: number;
  /** Of each element between the host and the end of the root. */
  readonly element: RegExp;
  /** Some of them refuse a suffix that others want. */
  readonly suffix: 'none' | 'needed' | 'any';
}

const word = /^[\w.-]+$/;

const knownHosts: readonly KnownHost[] = [
  { prefix: 'github.com', vcs: 'git', elements: 3, element: word, suffix: 'none' },
  { prefix: 'bitbucket.org', vcs: 'git', elements: 3, element: word, suffix: 'none' },
  { prefix: 'hub.jazz.net/git', vcs: 'git', elements: 4, element: word, suffix: 'none' },
  { prefix: 'git.apache.org', vcs: 'git', elements: 2, element: /^[a-z0-9_.-]+$/, suffix: 'needed' },
  { prefix: 'git.openstack.org', vcs: 'git', elements: 3, element: word, suffix: 'any' },
  { prefix: 'chiselapp.com/user', vcs: 'fossil', elements: 5, element: word, suffix: 'any' },
];

const suffixed = /^(.+)\.(bzr|fossil|git|hg|svn)$/;

/** Of those that the go command knows. */
export function isKnownHost(host: string): boolean {
  return knownHosts.some(({ prefix }) => prefix.split('/', 1)[0] === host);
}

/** Undefined: the path names none. Throws VcsError `absent` for a path that its host cannot have. */
export function namedRepository(path: string): NamedRepository | undefined {
  const known = knownHosts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
  return known === undefined ? bySuffix(path) : byHost(path, known);
}

function byHost(path: string, host: KnownHost): NamedRepository {
  const elements = path.split('/');
  const root = elements.slice(0, host.elements);
  const last = root.at(-1) ?? '';
  const isWhole = root.length === host.elements && elements.every((element) => word.test(element));
  if (!isWhole || !root.slice(1).every((element) => host.element.test(element))) {
    throw new VcsError(
      'absent',
      `${path} names no repository of ${elements[0] ?? ''}: it takes ${host.elements} path elements`,
    );
  }
  if (host.suffix === 'none' && suffixed.test(last)) {
    throw new VcsError(
      'absent',
      `${path} has a version control suffix, which ${elements[0] ?? ''} does not take`,
    );
  }
  if (host.suffix === 'needed' && !last.endsWith('.git')) {
    throw new VcsError('absent', `${path} names no repository of ${elements[0] ?? ''}: .git is missing`);
  }
  const text = root.join('/');
  return { kind: 'known', vcs: host.vcs, root: text, url: `https://${text}` };
}

/** The first element with a suffix that is not the host ends the root, as in Go. */
function bySuffix(path: string): NamedRepository | undefined {
  const elements = path.split('/');
  const at = elements.findIndex((element, index) => index > 0 && suffixed.test(element));
  const [, stem = '', vcs = ''] = suffixed.exec(elements[at] ?? '') ?? [];
  if (at < 1 || stem === '') return undefined;
  return {
    kind: 'suffix',
    vcs: vcs as Vcs,
    root: elements.slice(0, at + 1).join('/'),
    address: [...elements.slice(0, at), stem].join('/'),
  };
}
