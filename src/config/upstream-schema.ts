/**
 * The schema of one entry of `upstreams:`: either text in the syntax of GOPROXY, or a mapping that says more
 * about one server. Secrets stay text here; loading resolves them.
 */
import * as z from 'zod';
import type { Secret } from '../lib/secret.ts';
import {
  document,
  flag,
  integer,
  optionalChoice,
  optionalDuration,
  optionalInteger,
  parsedBy,
  secretText,
  withoutDefault,
} from './fields.ts';
import { parseProbePath } from './health-schema.ts';
import { type Parsed, parseGoproxyList, parseHttpUrl, parseProxySetting } from './shapes.ts';

/** Names that texts and records use for sources which are no upstream. */
const reservedNames = new Set(['store', 'direct', 'off', 'import', 'unknown']);

const url = document(
  parsedBy(z.string(), (text): Parsed<URL> => parseHttpUrl(text)),
  {
    kind: 'text',
    noun: 'an http(s) URL',
    right: 'write e.g. https://goproxy.cn',
    about:
      'Base URL of a GOPROXY server. A user name and password in it are taken as `username` and `password`.',
    mayHoldCredentials: true,
  },
);

const name = withoutDefault(
  parsedBy(z.string(), (text): Parsed<string> => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) return { wrong: 'is not a name' };
    return reservedNames.has(text) ? { wrong: 'is a reserved name' } : { value: text };
  }),
  {
    kind: 'text',
    noun: 'a name',
    right: 'write up to 63 letters, digits, ".", "_", "-", beginning with a letter or digit',
    about: 'Shown in error texts, logs and metrics. Made of the host when left out.',
  },
);

const proxy = withoutDefault(
  parsedBy(z.string(), (text): Parsed<'direct' | 'env' | 'pac' | Secret> => parseProxySetting(text)),
  {
    kind: 'text',
    noun: 'a proxy address',
    right: 'write direct, env, pac:FILE, or e.g. http://10.0.0.1:3128 or socks5://10.0.0.1:1080',
    about:
      'How to get there: `env` by the `network` section and the environment, `direct` without an outbound ' +
      'proxy, `pac` by the script of `network.pac`, `pac:FILE_OR_URL` by another script, or the address of a ' +
      'proxy: http, https, socks5. As `env` when left out.',
    mayHoldCredentials: true,
  },
);

const timeouts = z
  .strictObject({
    connect: optionalDuration({ about: 'Instead of `timeouts.connect`.' }),
    first_byte: z
      .strictObject({
        meta: optionalDuration({ about: 'Instead of `timeouts.first_byte.meta`.' }),
        zip: optionalDuration({ about: 'Instead of `timeouts.first_byte.zip`.' }),
      })
      .prefault({}),
    last_hope: optionalDuration({ about: 'Instead of `timeouts.last_hope`.' }),
    idle: optionalDuration({ about: 'Instead of `timeouts.idle`.' }),
  })
  .prefault({})
  .describe('Timeouts of this upstream where they differ from the `timeouts` section.');

export const upstreamServerSchema = z.strictObject({
  url,
  name,
  private: flag({
    default: false,
    about: 'Declares that private module paths may be asked of this upstream. Without it they never are.',
  }),
  fall_through: optionalChoice({
    words: ['any', 'not_found'],
    about:
      'When the next upstream is asked: after any failure, or only after a 404/410. When left out: `any`, ' +
      'except for entries in GOPROXY syntax with credentials or at a private address that are followed by `,`.',
  }),
  username: withoutDefault(z.string().min(1), {
    kind: 'text',
    noun: 'text',
    right: 'write the user name, in quotes if it is made of digits',
    about: 'User for basic authentication.',
  }),
  password: secretText('Password for basic authentication.'),
  token: secretText('Bearer token, instead of user and password.'),
  proxy,
  ca_file: withoutDefault(z.string().min(1), {
    kind: 'text',
    noun: 'a file name',
    right: 'write the path of a PEM file',
    about: 'PEM file with certificate authorities to trust for this upstream besides the usual ones.',
  }),
  timeouts,
  client_cert: withoutDefault(z.string().min(1), {
    kind: 'text',
    noun: 'a file name',
    right: 'write the path of a PEM file',
    about: 'PEM file with the certificate to show to this upstream. Needs `client_key`.',
  }),
  client_key: withoutDefault(z.string().min(1), {
    kind: 'text',
    noun: 'a file name',
    right: 'write the path of a PEM file',
    about: 'PEM file with the key of `client_cert`, not encrypted.',
  }),
  level: integer({
    default: 1,
    min: 1,
    max: 9,
    about:
      'Upstreams of a higher level are asked first only when none of a lower one is well: edge, region, root.',
  }),
  weight: integer({
    default: 100,
    min: 0,
    max: 1000,
    about: 'Share of first questions under the strategy `weighted`. 0: only when others fail.',
  }),
  probe: withoutDefault(
    parsedBy(z.string(), (text): Parsed<string> => (text === 'off' ? { value: text } : parseProbePath(text))),
    {
      kind: 'text',
      noun: 'a path',
      right: 'write off, or a path such as /readyz',
      about: 'What this upstream is probed with, instead of `health.probe.path`. `off`: it is never probed.',
    },
  ),
  max_connections: optionalInteger({
    min: 1,
    max: 1024,
    about: 'Connections to this upstream, instead of `ingest.per_upstream`.',
  }),
});

/** One entry: GOPROXY text or a mapping. */
export const upstreamEntrySchema = z.union([
  parsedBy(z.string(), (text): Parsed<{ readonly list: Secret }> => {
    const parsed = parseGoproxyList(text);
    return 'value' in parsed ? { value: { list: parsed.value } } : parsed;
  }),
  upstreamServerSchema,
]);
