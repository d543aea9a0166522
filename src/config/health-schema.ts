/**
 * The schema of what modferry does about ill upstreams: probes, health, order, breaker, retries, hedging. The
 * defaults are for three to six mirrors; what each does together with the others is told in docs/health.md.
 */
import * as z from 'zod';
import { choice, duration, flag, integer, optionalDuration, parsedBy, withDefault } from './fields.ts';
import { type Parsed, parsePercent } from './shapes.ts';

const day = 86_400_000;

function percent(field: { readonly default: string; readonly about: string }) {
  return withDefault(parsedBy(z.union([z.string(), z.number()]), parsePercent), field.default, {
    kind: 'text',
    noun: 'a percentage',
    right: 'write e.g. 20%',
    about: field.about,
  });
}

const strategies = ['priority', 'fastest', 'weighted'] as const;

export const strategySchema = z.strictObject({
  public: choice({
    words: strategies,
    default: 'priority',
    about:
      'Order for public modules. `priority`: as listed, among the healthy. `fastest`: by score. `weighted`: drawn by `weight`.',
  }),
  private: choice({ words: strategies, default: 'priority', about: 'The same for private modules.' }),
});

/** `/path/@v/v1.2.3.mod`: what a probe asks for. */
export function parseProbePath(text: string): Parsed<string> {
  if (!text.startsWith('/')) return { wrong: 'does not begin with "/"', right: 'write e.g. /readyz' };
  if (
    /[\s?#\\]|\/\/|\.\.|%(?![0-9A-Fa-f]{2})/.test(text) ||
    text.length > 1024 ||
    /[^\x21-\x7e]/.test(text)
  ) {
    return { wrong: 'is not a plain path', right: 'write a path without query, spaces or ".."' };
  }
  return { value: text };
}

const probe = z.strictObject({
  enabled: flag({
    default: true,
    about:
      'Without probes only real requests tell how upstreams are, and one that is out comes back by trials alone.',
  }),
  every: duration({
    default: '10s',
    minMs: 100,
    about: 'Each upstream is asked for a small file this often, give or take a fifth.',
  }),
  idle_every: duration({
    default: '60s',
    minMs: 100,
    about: 'The same while no client has asked for anything for a minute.',
  }),
  out_every: duration({ default: '5s', minMs: 100, about: 'The same while an upstream is suspect or out.' }),
  timeout: duration({
    default: '3s',
    minMs: 10,
    about: 'A probe without a whole answer after this has failed.',
  }),
  path: withDefault(parsedBy(z.string(), parseProbePath), '/github.com/pkg/errors/@v/v0.9.1.mod', {
    kind: 'text',
    noun: 'a path',
    right: 'write e.g. /github.com/pkg/errors/@v/v0.9.1.mod',
    about:
      'What is asked for: a small file that never changes. 404 is an answer too. Parent modferries are asked for `/readyz`.',
  }),
  sha256: withDefault(
    parsedBy(z.string(), (text): Parsed<string> => {
      if (text === '' || /^[0-9a-f]{64}$/.test(text)) return { value: text };
      return { wrong: 'is not a SHA-256 in lower-case hex' };
    }),
    '',
    {
      kind: 'text',
      noun: 'a SHA-256',
      right: 'write 64 digits 0-9a-f, or nothing',
      about:
        'Of that file, so that pages of captive portals and altered files are noticed. Known for the default path; empty: not compared.',
    },
  ),
});

export const healthSchema = z.strictObject({
  probe: probe.prefault({}).describe('Asking upstreams how they are.'),
  latency_allowance: duration({
    default: '200ms',
    minMs: 0,
    about:
      'An upstream is slow when half of its answers begin later than those of the quickest upstream by more than this. Slow ones are asked after the others.',
  }),
  latency_limit: optionalDuration({
    about: 'Absolute form: slow when half of the answers begin later than this, whatever the others do.',
  }),
  out_after: integer({
    default: 3,
    min: 1,
    max: 100,
    about:
      'Failures in a row, on at least two modules, that take an upstream out. Probes count as one module.',
  }),
  out_for: duration({
    default: '60s',
    minMs: 100,
    maxMs: day,
    about: 'How long at least; doubled each time within half an hour.',
  }),
  out_for_max: duration({ default: '5m', minMs: 100, maxMs: day, about: 'The longest it grows to.' }),
  good_probes: integer({
    default: 3,
    min: 1,
    max: 100,
    about: 'Good answers in a row before it comes back.',
  }),
  slow_start: duration({
    default: '30s',
    minMs: 0,
    about: 'After coming back its share of first questions grows from a tenth to all over this time.',
  }),
  switch_back_after: duration({
    default: '2m',
    minMs: 0,
    maxMs: day,
    about:
      'After a change of favourite no other change by choice follows for this long. Failures change it at once.',
  }),
  better_by: percent({
    default: '25%',
    about:
      'Under `fastest` another upstream must be cheaper by this much for 10 s before it becomes the favourite.',
  }),
  avoid_module: duration({
    default: '60s',
    minMs: 0,
    about:
      'An upstream that fails on one module is asked last for that module for this long; doubled up to ten minutes.',
  }),
});

export const breakerSchema = z.strictObject({
  window: duration({
    default: '10s',
    minMs: 1000,
    maxMs: 600_000,
    about: 'Answers of this time are counted.',
  }),
  volume: integer({ default: 20, min: 1, max: 100_000, about: 'Fewer answers than this never open it.' }),
  errors: percent({ default: '50%', about: 'Share of failures that opens it.' }),
  open: duration({
    default: '30s',
    minMs: 100,
    maxMs: day,
    about: 'How long an upstream is then not asked; doubled each time it fails its trials.',
  }),
  open_max: duration({ default: '5m', minMs: 100, maxMs: day, about: 'The longest it grows to.' }),
  trials: integer({ default: 3, min: 1, max: 100, about: 'Good trials in a row that close it again.' }),
});

export const retrySchema = z.strictObject({
  repeats: integer({
    default: 2,
    min: 0,
    max: 10,
    about: 'How often the same upstream is asked again within one request when no other is left.',
  }),
  budget: percent({
    default: '20%',
    about: 'Repeats per request over the last 10 s; a few are always allowed.',
  }),
  base: duration({
    default: '100ms',
    about: 'The pause before a repeat is drawn between zero and this, doubled each time.',
  }),
  cap: duration({ default: '1s', about: 'The longest such pause.' }),
});

export const hedgeSchema = z.strictObject({
  enabled: withDefault(z.boolean(), true, {
    kind: 'boolean',
    noun: 'true or false',
    right: 'write true or false',
    about: 'Ask the next upstream as well when a small answer takes unusually long; the first good one wins.',
  }),
  min: duration({ default: '100ms', about: 'Never earlier than this.' }),
  unknown: duration({ default: '300ms', about: 'The delay while nothing is known of the upstreams yet.' }),
  budget: percent({ default: '5%', about: 'Such questions per request over the last 10 s.' }),
  floor: integer({ default: 3, min: 0, max: 1000, about: 'As many per second are always allowed.' }),
});
