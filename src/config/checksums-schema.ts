/** The schema of how content is proven: checksum database, quarantine, scrub. See docs/checksums.md. */
import * as z from 'zod';
import {
  choice,
  duration,
  flag,
  integer,
  listOf,
  parsedBy,
  patternList,
  size,
  withDefault,
  withoutDefault,
} from './fields.ts';
import { parseChecksumDatabase, parseHours } from './shapes.ts';

const day = 86_400_000;

export const checksumsSchema = z.strictObject({
  database: withoutDefault(parsedBy(z.string(), parseChecksumDatabase), {
    kind: 'text',
    noun: 'a checksum database',
    right: 'write off, sum.golang.org, or NAME+HASH+KEY, and addresses behind spaces if they are not its own',
    about:
      "Which checksum database proves public modules, as in GOSUMDB; several addresses are asked in order, after the upstreams. When left out: the machine's GOSUMDB, else the official one.",
  }),
  mode: choice({
    words: ['require', 'prefer', 'off'],
    default: 'require',
    about:
      '`require`: what is not proven is not published. `prefer`: it is published as unproven and proven later. `off`: not asked. Private modules are always `off`.',
  }),
  require: patternList('Modules for which the mode is `require`, whatever `mode` says.'),
  prefer: patternList('The same for `prefer`. A module in several of these lists belongs to the first.'),
  off: patternList('The same for `off`: never asked of the checksum database, and refused under `/sumdb/`.'),
  headers: choice({
    words: ['off', 'proof', 'full'],
    default: 'proof',
    about:
      'What answers tell: `proof`: by what the content is proven (`X-Modferry-Proof`). `full`: from which upstream and when as well.',
  }),
  private_lookup: choice({
    words: ['not_found', 'forbidden'],
    default: 'not_found',
    about: 'What `/sumdb/` says to a lookup of a module that is `off`: 404 or 403.',
  }),
});

export const quarantineSchema = z.strictObject({
  max_size: size({
    default: '1GiB',
    about: 'Bytes of suspects that are kept; of the oldest only the evidence stays.',
  }),
  max_entries: integer({
    default: 1000,
    min: 1,
    max: 100_000,
    about: 'Suspects that are kept; the oldest go first.',
  }),
});

export const scrubSchema = z.strictObject({
  enabled: flag({
    default: true,
    about: 'Read the whole store again and again, to find what the disk has changed.',
  }),
  rate: size({ default: '16MiB', about: 'Bytes a second. 0: as fast as it can.' }),
  every: duration({
    default: '7d',
    minMs: 60_000,
    maxMs: 365 * day,
    about: 'From the end of one pass to the beginning of the next.',
  }),
  first_after: duration({
    default: '10m',
    minMs: 0,
    about: 'How long after the start it begins, or goes on where the last process stopped.',
  }),
  hours: withDefault(listOf(parseHours), [], {
    kind: 'list',
    noun: 'a time of day',
    right: 'write e.g. 22:00-06:00, or leave the list empty for all day',
    about: 'Only within these hours, local time. Empty: always.',
  }),
});
