import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchPrefixPatterns } from '../gomod/module-pattern.ts';
import { compileRules, decideRight } from './decision.ts';
import {
  type AccessRules,
  anonymous,
  type Identity,
  type IdentityKind,
  type Right,
  rights,
  type Subject,
} from './types.ts';

const module = 'corp.example/team-a/x';

function identity(kind: IdentityKind, name: string, more: Partial<Identity> = {}): Identity {
  return { kind, name, groups: [], scopes: undefined, expiresAtMs: undefined, ...more };
}

const user: Subject = { kind: 'user', name: 'alice' };
const group: Subject = { kind: 'group', name: 'team-a' };
const token: Subject = { kind: 'token', name: 'ci' };

function mayRead(subjects: readonly Subject[], who: Identity, path: string | undefined = module): boolean {
  const rules = compileRules({ read: subjects, publish: [], admin: [] });
  return decideRight(rules, who, 'read', path).kind === 'allowed';
}

describe('decideRight', () => {
  it.each([
    ['anonymous', { kind: 'anonymous' }, anonymous, true],
    ['anonymous is everybody', { kind: 'anonymous' }, identity('user', 'alice'), true],
    ['authenticated', { kind: 'authenticated' }, identity('jwt', 'job'), true],
    ['not authenticated', { kind: 'authenticated' }, anonymous, false],
    ['any token', { kind: 'tokens' }, identity('token', 'x'), true],
    ['a user is no token', { kind: 'tokens' }, identity('user', 'x'), false],
    ['that user', user, identity('user', 'alice'), true],
    ['a certificate of that name', user, identity('certificate', 'alice'), true],
    ['a token that is called like the user', user, identity('token', 'alice'), false],
    ['a JWT that is called like the user', user, identity('jwt', 'alice'), false],
    ['another user', user, identity('user', 'Alice'), false],
    ['a member', group, identity('user', 'bob', { groups: ['x', 'team-a'] }), true],
    ['a JWT with the group', group, identity('jwt', 'job', { groups: ['team-a'] }), true],
    ['no member', group, identity('user', 'team-a', { groups: ['team-b'] }), false],
    ['that token', token, identity('token', 'ci'), true],
    ['a user that is called like the token', token, identity('user', 'ci'), false],
    ['a name of Object.prototype', user, identity('user', 'constructor'), false],
    [
      'a group of Object.prototype',
      group,
      identity('user', 'x', { groups: ['__proto__', 'toString'] }),
      false,
    ],
  ] satisfies [string, Subject, Identity, boolean][])('%s', (_, subject, who, expected) =>
    expect(mayRead([subject], who)).toBe(expected),
  );

  it('names nobody: nobody may, and it helps nobody to log in', () => {
    const rules = compileRules({ read: [user], publish: [], admin: [] });
    expect(decideRight(rules, identity('user', 'alice'), 'admin', module)).toEqual({
      kind: 'refused',
      by: 'rules',
      isHopeless: true,
    });
    expect(decideRight(rules, anonymous, 'read', module)).toMatchObject({ isHopeless: false });
  });

  const scopes = { read: ['corp.example/team-a', 'x.example'], publish: [], admin: false };

  it('takes away by scopes what the rules give', () => {
    const scoped = identity('token', 'ci', { scopes });
    expect(mayRead([token], scoped)).toBe(true);
    expect(mayRead([token], scoped, 'corp.example/team-b/x')).toBe(false);
    expect(mayRead([token], scoped, undefined)).toBe(true);
    expect(mayRead([user], scoped)).toBe(false);
  });

  it('lets a scoped token read what everybody may read', () => {
    expect(mayRead([{ kind: 'anonymous' }], identity('token', 'ci', { scopes }), 'golang.org/x/mod')).toBe(
      true,
    );
  });

  it('asks for the admin flag, and for a publish pattern', () => {
    const everybody: AccessRules['read'] = [{ kind: 'anonymous' }];
    const rules = compileRules({ read: everybody, publish: everybody, admin: everybody });
    const scoped = identity('token', 'ci', { scopes });
    expect(decideRight(rules, scoped, 'admin', module)).toMatchObject({ by: 'scopes' });
    expect(decideRight(rules, scoped, 'publish', module)).toMatchObject({ by: 'scopes' });
    expect(decideRight(rules, scoped, 'publish', undefined)).toMatchObject({ by: 'scopes' });
    const admin = identity('token', 'ci', { scopes: { ...scopes, admin: true } });
    expect(decideRight(rules, admin, 'admin', module)).toMatchObject({ kind: 'allowed' });
  });

  it('agrees with the naive reading of the rules', () => {
    const name = fc.constantFrom('a', 'b', '__proto__');
    const subject: fc.Arbitrary<Subject> = fc.oneof(
      fc.record({ kind: fc.constantFrom('anonymous', 'authenticated', 'tokens') }),
      fc.record({ kind: fc.constantFrom('user', 'group', 'token'), name }),
    );
    const patterns = fc.array(fc.constantFrom('h/a', 'h/*', 'h/b/c', '['), { maxLength: 2 });
    const who: fc.Arbitrary<Identity> = fc.oneof(
      fc.constant(anonymous),
      fc.record({
        kind: fc.constantFrom<IdentityKind>('token', 'user', 'jwt', 'certificate'),
        name,
        groups: fc.array(name, { maxLength: 2 }),
        scopes: fc.option(fc.record({ read: patterns, publish: patterns, admin: fc.boolean() }), {
          nil: undefined,
        }),
        expiresAtMs: fc.constant(undefined),
      }),
    );
    const path = fc.option(fc.constantFrom('h/a', 'h/b', 'h/b/c', 'i'), { nil: undefined });
    fc.assert(
      fc.property(
        fc.record({ read: fc.array(subject), publish: fc.array(subject), admin: fc.array(subject) }),
        who,
        fc.constantFrom<Right>(...rights),
        path,
        (rules, asker, right, asked) => {
          const found = decideRight(compileRules(rules), asker, right, asked).kind === 'allowed';
          expect(found).toBe(naive(rules, asker, right, asked));
        },
      ),
      { numRuns: 3_000 },
    );
  });
});

function naive(
  rules: Pick<AccessRules, Right>,
  asker: Identity,
  right: Right,
  path: string | undefined,
): boolean {
  const isNamed = rules[right].some((subject) => {
    switch (subject.kind) {
      case 'anonymous':
        return true;
      case 'authenticated':
        return asker.kind !== 'anonymous';
      case 'tokens':
        return asker.kind === 'token';
      case 'user':
        return ['user', 'certificate'].includes(asker.kind) && asker.name === subject.name;
      case 'group':
        return asker.groups.includes(subject.name);
      default:
        return asker.kind === 'token' && asker.name === subject.name;
    }
  });
  if (!isNamed) return false;
  if (asker.scopes === undefined) return true;
  if (right === 'admin') return asker.scopes.admin;
  if (right === 'read' && rules.read.some(({ kind }) => kind === 'anonymous')) return true;
  const { [right]: patterns } = asker.scopes;
  return path === undefined ? patterns.length > 0 : matchPrefixPatterns(patterns.join(','), path);
}
