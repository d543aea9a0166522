/**
 * Whether an identity may do something: pure, without time, addresses or credentials. The rules of the route say who
 * may; the scopes of the identity take away from that and never add to it.
 */
import { compilePatterns } from '../gomod/module-pattern.ts';
import type { AccessRoute } from './access-options.ts';
import { type AccessRules, type Identity, type Right, rights, type Scopes, type Subject } from './types.ts';

export type Verdict =
  | { readonly kind: 'allowed' }
  /** `rule` is for audit; `isHopeless`: nobody may, so that it helps nobody to say who they are. */
  | { readonly kind: 'refused'; readonly by: 'rules' | 'scopes'; readonly isHopeless: boolean };

const allowed: Verdict = { kind: 'allowed' };
const refusedByScopes: Verdict = { kind: 'refused', by: 'scopes', isHopeless: false };
const refusedByRules: Verdict = { kind: 'refused', by: 'rules', isHopeless: false };
const refusedToAll: Verdict = { kind: 'refused', by: 'rules', isHopeless: true };

/** The subjects of one right, ready to be asked. */
export class CompiledSubjects {
  readonly isEmpty: boolean;
  readonly hasAnonymous: boolean;
  readonly #hasAuthenticated: boolean;
  readonly #hasTokens: boolean;
  readonly #users = new Set<string>();
  readonly #groups = new Set<string>();
  readonly #tokens = new Set<string>();

  constructor(subjects: readonly Subject[]) {
    this.isEmpty = subjects.length === 0;
    const kinds = new Set(subjects.map(({ kind }) => kind));
    this.hasAnonymous = kinds.has('anonymous');
    this.#hasAuthenticated = kinds.has('authenticated');
    this.#hasTokens = kinds.has('tokens');
    for (const subject of subjects) {
      if (subject.kind === 'user') this.#users.add(subject.name);
      else if (subject.kind === 'group') this.#groups.add(subject.name);
      else if (subject.kind === 'token') this.#tokens.add(subject.name);
    }
  }

  /**
   * `user:` names users and certificates, `token:` static tokens. A JWT of a CI job is named by its groups: the name in
   * it is what somebody else's service calls the job, and may be that of a user here.
   */
  names({ kind, name, groups }: Identity): boolean {
    if (this.hasAnonymous) return true;
    if (kind === 'anonymous') return false;
    if (this.#hasAuthenticated) return true;
    if (kind === 'token' && (this.#hasTokens || this.#tokens.has(name))) return true;
    if ((kind === 'user' || kind === 'certificate') && this.#users.has(name)) return true;
    if (this.#groups.size === 0) return false;
    for (const group of groups) if (this.#groups.has(group)) return true;
    return false;
  }
}

/** The rights of one route, ready to be asked. */
export type CompiledRules = Readonly<Record<Right, CompiledSubjects>>;

export function compileRules(rules: Pick<AccessRules, Right>): CompiledRules {
  const [read, publish, admin] = rights.map((right) => new CompiledSubjects(rules[right]));
  const none = new CompiledSubjects([]);
  return { read: read ?? none, publish: publish ?? none, admin: admin ?? none };
}

/** `path` undefined: the server as a whole, for which a scope is enough that has any pattern. */
export function decideRight(
  rules: CompiledRules,
  identity: Identity,
  right: Right,
  path: string | undefined,
): Verdict {
  const subjects = rules[right];
  if (!subjects.names(identity)) return subjects.isEmpty ? refusedToAll : refusedByRules;
  if (identity.scopes === undefined) return allowed;
  // Who may read without a token may read with one: go sends it with everything it asks of this server.
  if (right === 'read' && subjects.hasAnonymous) return allowed;
  return scopesCover(identity.scopes, right, path) ? allowed : refusedByScopes;
}

/** Compiled once for each identity; gone with it. */
const compiledScopes = new WeakMap<Scopes, { read: Matcher; publish: Matcher }>();
type Matcher = (path: string) => boolean;

function scopesCover(scopes: Scopes, right: Right, path: string | undefined): boolean {
  if (right === 'admin') return scopes.admin;
  if (path === undefined) return scopes[right].length > 0;
  let compiled = compiledScopes.get(scopes);
  if (compiled === undefined) {
    compiled = {
      read: compilePatterns(scopes.read.join(',')),
      publish: compilePatterns(scopes.publish.join(',')),
    };
    compiledScopes.set(scopes, compiled);
  }
  return compiled[right](path);
}

/** For audit and logs: `route team-a: read`, `token scope: publish`. */
export function ruleText(route: AccessRoute, right: Right, by: 'rules' | 'scopes'): string {
  return by === 'scopes' ? `token scope: ${right}` : `route ${route.name}: ${right}`;
}
