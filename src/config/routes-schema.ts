/** The schema of one entry of `routes:`: where modules come from and who may do what with them. */
import * as z from 'zod';
import { clientList, optionalSubjects, subjects } from './access-schema.ts';
import {
  document,
  flag,
  listOf,
  optionalChoice,
  optionalDuration,
  parsedBy,
  withoutDefault,
} from './fields.ts';
import type { Parsed } from './shapes.ts';

const day = 86_400_000;

const pattern = (raw: string): Parsed<string> =>
  raw.trim() === '' ? { wrong: 'is empty' } : { value: raw.trim() };

export const routeSchema = z.strictObject({
  match: document(
    listOf(pattern).refine((list) => list.length > 0, { error: 'names no pattern' }),
    {
      kind: 'list',
      noun: 'a module path pattern',
      right: 'write patterns as in GOPRIVATE, e.g. git.corp.example/*',
      about: 'Patterns as in GOPRIVATE. The first route that matches a module decides.',
    },
  ),
  name: withoutDefault(
    parsedBy(z.string(), (raw): Parsed<string> => {
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(raw)) return { wrong: 'is not a name' };
      return ['public', 'private'].includes(raw) ? { wrong: 'is a reserved name' } : { value: raw };
    }),
    {
      kind: 'text',
      noun: 'a name',
      right: 'write up to 63 letters, digits, ".", "_", "-", beginning with a letter or digit',
      about: 'Shown in texts, logs and audit. Its first pattern when left out.',
    },
  ),
  private: flag({
    default: false,
    about:
      'Its names are never told to a public upstream or checksum database, and nobody may do anything that is not given below.',
  }),
  sources: withoutDefault(listOf(pattern), {
    kind: 'list',
    noun: 'a source',
    right: 'write names of upstreams, direct (the repository) or published (what was uploaded here)',
    about:
      'Who may be asked: names of upstreams, `direct`, `published`. When left out: all upstreams, or for a private route all private upstreams, `direct` and `published`.',
  }),
  read: optionalSubjects('Who may read. When left out: nobody of a private route, everybody of another one.'),
  publish: subjects('Who may publish. When left out: nobody.'),
  admin: subjects('Who may unpublish. When left out: nobody.'),
  allow: clientList('Only these addresses may ask. Empty: all that `access` lets through.'),
  deny: clientList('These may not.'),
  checksums: optionalChoice({
    words: ['require', 'prefer', 'off'],
    about: 'Instead of what `checksums` says. A private route is always `off`.',
  }),
  freshness: z
    .strictObject({
      list: optionalDuration({
        minMs: 0,
        maxMs: 30 * day,
        about: 'Instead of `freshness.list` or `freshness.private`.',
      }),
      query: optionalDuration({
        minMs: 0,
        maxMs: 30 * day,
        about: 'Instead of `freshness.query` or `freshness.private`.',
      }),
    })
    .prefault({}),
  keep: optionalDuration({
    minMs: 60_000,
    maxMs: 36_500 * day,
    about:
      'What was fetched is removed this long after it was stored, and fetched again when it is asked for. Uploads stay. When left out: kept for good.',
  }),
});
