import { describe, expect, it } from 'vitest';
import { askerWith, basic, group, PlayedUsers, testAccess, testRoute, user } from '../access/test-access.ts';
import { createRouteTable } from '../route/route-table.ts';
import { shownPatterns } from './shown-patterns.ts';

const routes = [
  testRoute('secret', ['corp.example/secret'], { read: [group('secret')] }),
  testRoute('open', ['corp.example/open', 'corp.example/docs'], { read: [{ kind: 'anonymous' }] }),
  testRoute('public', ['*'], { read: [{ kind: 'anonymous' }] }),
];
const { access } = testAccess({}, [new PlayedUsers(user('alice'))], routes);

describe('the home page', () => {
  it.each([
    ['nobody', undefined, ['corp.example/open', 'corp.example/docs']],
    ['a wrong login', basic('alice', 'bad'), ['corp.example/open', 'corp.example/docs']],
    ['somebody', basic('alice', 'good'), ['corp.example/secret', 'corp.example/open', 'corp.example/docs']],
  ])('tells %s the private names they may know of', async (_, authorization, patterns) => {
    expect(await shownPatterns(createRouteTable(routes), askerWith(authorization), access)).toEqual(patterns);
  });

  it('is not kept back by a directory that does not answer', async () => {
    const identify = () => Promise.reject(new Error('time is over'));
    const shown = await shownPatterns(createRouteTable(routes), askerWith(basic('alice', 'good')), {
      identify,
    });
    expect(shown).toEqual(['corp.example/open', 'corp.example/docs']);
  });
});
