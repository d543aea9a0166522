import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchPrefixPatterns } from '../gomod/module-pattern.ts';
import { createRouteTable } from './route-table.ts';
import type { Route } from './types.ts';

function route(name: string, ...patterns: string[]): Route {
  return {
    name,
    patterns,
    isPrivate: name !== 'public',
    sources: undefined,
    access: { read: [], publish: [], admin: [], allow: [], deny: [] },
    checksums: undefined,
    freshMs: { list: undefined, query: undefined },
    keepMs: undefined,
  };
}

describe('createRouteTable', () => {
  const table = createRouteTable([
    route('team-a', 'git.corp.example/team-a', '*.a.example/x'),
    route('tools', 'git.corp.example/*/tools', 'git.corp.example/[t-z]*'),
    route('corp', 'git.corp.example/', 'bad[', ''),
    route('public', '*'),
  ]);

  it.each([
    ['git.corp.example/team-a', 'team-a'],
    ['git.corp.example/team-a/tools/v2', 'team-a'],
    ['git.corp.example/team-ab', 'tools'],
    ['www.a.example/x/y', 'team-a'],
    ['www.a.example/y', 'public'],
    ['git.corp.example/a/tools', 'tools'],
    ['git.corp.example', 'corp'],
    ['git.corp.example/a/b', 'corp'],
    ['git.corp.example.evil.example/a', 'public'],
    ['GIT.corp.example/a', 'public'],
    ['bad[', 'public'],
    ['__proto__', 'public'],
    ['', 'public'],
  ])('%s is of route %s', (path, name) => {
    expect(table.of(path).name).toBe(name);
    expect(table.of(path).name).toBe(name);
  });

  it('takes the last route where even that one does not match', () => {
    expect(createRouteTable([route('a', 'a'), route('public', 'b')]).of('c').name).toBe('public');
  });

  it('refuses no routes, and two of one name', () => {
    expect(() => createRouteTable([])).toThrow(expect.objectContaining({ code: 'no_routes' }));
    expect(() => createRouteTable([route('a', 'a'), route('a', 'b')])).toThrow(
      expect.objectContaining({ code: 'route_twice' }),
    );
  });

  it('finds what matching one after another finds', () => {
    const element = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '?', '[ab]', 'a\\*', '[', '');
    const pattern = fc.array(element, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const path = fc
      .array(fc.constantFrom('a', 'b', 'ab', 'c', ''), { minLength: 1, maxLength: 4 })
      .map((parts) => parts.join('/'));
    fc.assert(
      fc.property(fc.array(fc.array(pattern, { maxLength: 3 }), { maxLength: 6 }), path, (lists, asked) => {
        const routes = [
          ...lists.map((patterns, index) => route(`r${index}`, ...patterns)),
          route('public', '*'),
        ];
        const naive =
          routes.find(({ patterns }) => patterns.some((each) => matchPrefixPatterns(each, asked))) ??
          routes.at(-1);
        expect(createRouteTable(routes).of(asked).name).toBe(naive?.name);
      }),
      { numRuns: 2_000 },
    );
  });

  it('keeps what it costs bounded: many paths, long paths, many routes', () => {
    const many = createRouteTable([
      ...Array.from({ length: 10_000 }, (_, index) => route(`r${index}`, `git.corp.example/team-${index}/*`)),
      route('public', '*'),
    ]);
    const startedAtMs = performance.now();
    for (let index = 0; index < 10_000; index += 1) {
      expect(many.of(`git.corp.example/team-${index}/x`).name).toBe(`r${index}`);
    }
    many.of('a/'.repeat(25_000));
    expect(performance.now() - startedAtMs).toBeLessThan(2_000);
  });
});
