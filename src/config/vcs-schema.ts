/** The schema of `direct`: modules from their repositories, and the credentials for them. See docs/private-modules.md. */
import * as z from 'zod';
import { addressList } from './access-schema.ts';
import {
  document,
  duration,
  entryList,
  flag,
  integer,
  listOf,
  optionalInteger,
  optionalText,
  patternList,
  secretText,
  size,
  withDefault,
  withoutDefault,
} from './fields.ts';
import { type Parsed, parseRepositoryTemplate } from './shapes.ts';

const word = (raw: string): Parsed<string> =>
  raw.trim() === '' ? { wrong: 'is empty' } : { value: raw.trim() };

const matchField = (about: string, right: string) =>
  document(
    listOf(word).refine((list) => list.length > 0, { error: 'names none' }),
    { kind: 'list', noun: 'a pattern', right, about },
  );

const repository = z.strictObject({
  match: matchField(
    'Module path patterns as in GOPRIVATE. The first rule that matches counts.',
    'write e.g. git.corp.example/*',
  ),
  url: document(
    listOf(parseRepositoryTemplate)
      .refine((list) => list.length === 1, { error: 'is not one address' })
      .transform((list) => list[0] ?? ''),
    {
      kind: 'text',
      noun: 'an address of a repository',
      right: 'write e.g. ssh://git@git.corp.example/{path}.git or https://git.corp.example/{path}.git',
      about:
        'Where the repository is. `{root}` is the module path of its root, `{path}` the same without the first element (the host).',
    },
  ),
  root: optionalText({
    noun: 'a module path',
    right: 'write the module path of the root of the repository',
    about: 'The module path that the root of the repository stands for, where it is one repository.',
  }),
  depth: optionalInteger({
    min: 1,
    max: 20,
    about:
      'How many elements of the module path make the root: 3 for host/owner/name. When left out, with `probe` off: 3.',
  }),
  probe: flag({
    default: false,
    about: 'For sub-groups of any depth: each prefix of the path is tried at the server, the longest first.',
  }),
});

const credential = z.strictObject({
  match: matchField(
    'Hosts (`git.corp.example`, `*.corp.example`) or module path patterns. The first that matches counts.',
    'write e.g. git.corp.example',
  ),
  token: secretText('Access token.', 'env:GIT_TOKEN or file:/run/secrets/git-token'),
  scheme: withDefault(z.literal(['basic', 'bearer']), 'basic', {
    kind: 'text',
    noun: 'one of basic, bearer',
    right: 'write one of basic, bearer',
    about: 'How the token is sent: as a password, as forges want it, or as a bearer token.',
  }),
  username: optionalText({
    noun: 'text',
    right: 'write the user name, in quotes if it is made of digits',
    about: 'For the password, or for the token where the forge wants another than the usual one.',
  }),
  password: secretText('Password for basic authentication.', 'env:GIT_PASSWORD or file:/run/secrets/git'),
  ssh_key: optionalText({
    noun: 'a file name',
    right: 'write the path of a private key without a passphrase',
    about: 'Private key for ssh.',
  }),
  known_hosts: optionalText({
    noun: 'a file name',
    right: 'write the path of a known_hosts file',
    about: "Host keys that are believed. When left out: the machine's. Unknown hosts are refused.",
  }),
  netrc: optionalText({
    noun: 'a file name',
    right: 'write the path of a .netrc file',
    about: 'Where user and password stand.',
  }),
  command: withoutDefault(listOf(word), {
    kind: 'list',
    noun: 'a command',
    right: 'write the program and its arguments as a list, e.g. [/usr/local/bin/git-token, --short]',
    about: 'A program that prints headers, as GOAUTH does (`go help goauth`).',
  }),
  github_app: optionalText({
    noun: 'the number of a GitHub App',
    right: "write the App ID in quotes, e.g. '123456'",
    about: 'A GitHub App that is installed where the repositories are.',
  }),
  github_key: secretText('Its private key (PEM).', 'file:/run/secrets/github-app.pem'),
  github_installation: optionalText({
    noun: 'the number of an installation',
    right: 'write the installation ID in quotes',
    about: 'Which installation. When left out it is looked up for the owner.',
  }),
  github_api: optionalText({
    noun: 'an http(s) URL',
    right: 'write e.g. https://github.corp.example/api/v3',
    about: 'Where its API is. Made of the host when left out.',
  }),
});

export const directSchema = z.strictObject({
  enabled: flag({
    default: true,
    about: 'Whether modules may come from their repositories at all.',
  }),
  git: withDefault(z.string().min(1), 'git', {
    kind: 'text',
    noun: 'a program',
    right: 'write the name or path of git',
    about: 'The git program, 2.31 or newer.',
  }),
  repositories: entryList(repository, {
    noun: 'a list of rules',
    right: 'write e.g. [{match: git.corp.example/*, url: ssh://git@git.corp.example/{path}.git}]',
    about: 'Where the repositories of modules are. What no rule names is found as Go finds it (`?go-get=1`).',
  }),
  credentials: entryList(credential, {
    noun: 'a list of credentials',
    right: 'write e.g. [{match: git.corp.example, token: env:GIT_TOKEN}]',
    about: 'How modferry proves itself to hosts.',
  }),
  machine_netrc: flag({
    default: true,
    about: "Use this machine's `.netrc` for private modules where no entry of `credentials` matches.",
  }),
  concurrency: integer({
    default: 32,
    min: 1,
    max: 256,
    about:
      'Programs at once that talk to servers, four of them to one host. A quarter, eight at least, read mirrors.',
  }),
  fetch_timeout: duration({ default: '10m', about: 'For fetching from one repository.' }),
  max_repository: size({
    default: '4GiB',
    minBytes: 1024 * 1024,
    about: 'Largest mirror of one repository on disk.',
  }),
  max_size: size({
    default: '50GiB',
    minBytes: 64 * 1024 * 1024,
    about:
      'All mirrors together on disk. Those not asked for the longest are removed, and fetched anew when they are.',
  }),
  insecure: patternList('Modules whose hosts may be asked without TLS, as GOINSECURE.'),
  allow_hosts: withDefault(listOf(word), [], {
    kind: 'list',
    noun: 'a host',
    right: 'write e.g. git.corp.example or *.corp.example',
    about:
      'Hosts that may be at a private address. Those of rules and of private routes with a literal host always may.',
  }),
  allow_addresses: addressList(
    'Loopback, link-local and other special addresses that repositories may be at; else they are refused.',
  ),
  allow_ports: withDefault(
    z.union([z.number().transform((port) => [port]), z.array(z.number().int().min(1).max(65_535))]),
    [],
    {
      kind: 'list',
      noun: 'a port',
      right: 'write ports, e.g. [8443]',
      about: 'Ports besides 443 and 22 (and 80 where `insecure`) that pages found by `?go-get=1` may name.',
    },
  ),
  other_vcs: withDefault(
    listOf(
      (raw: string): Parsed<string> =>
        ['hg', 'svn', 'fossil', 'bzr'].includes(raw)
          ? { value: raw }
          : { wrong: 'is not a version control system' },
    ),
    [],
    {
      kind: 'list',
      noun: 'one of hg, svn, fossil, bzr',
      right: 'write some of hg, svn, fossil, bzr',
      about: 'Others than Git, through an installed `go`, which runs their programs. Empty: none.',
    },
  ),
});

export const publishSchema = z.strictObject({
  pseudo_versions: flag({ default: false, about: 'Whether pseudo-versions may be uploaded.' }),
  idle: duration({ default: '30s', about: 'An upload that brings no byte for this long is ended.' }),
  min_rate: size({
    default: '1KiB',
    about: 'Bytes per second, over 10 s, below which it is ended. 0: none.',
  }),
});

const webhook = z.strictObject({
  name: document(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/), {
    kind: 'text',
    noun: 'a name',
    right: 'write letters, digits, ".", "_", "-"',
    about: 'The address is `/-/v1/webhooks/NAME`.',
  }),
  forge: document(z.literal(['github', 'gitlab', 'gitea', 'gitee', 'generic']), {
    kind: 'text',
    noun: 'one of github, gitlab, gitea, gitee, generic',
    right: 'write one of github, gitlab, gitea, gitee, generic',
    about: 'Whose deliveries these are. Forgejo: `gitea`.',
  }),
  secret: secretText(
    'What signs them, as set at the forge.',
    'env:WEBHOOK_SECRET or file:/run/secrets/webhook',
  ),
  allow: addressList('Only from these addresses. Empty: from all.'),
});

export const webhooksField = () =>
  entryList(webhook, {
    noun: 'a list of webhooks',
    right: 'write e.g. [{name: gitlab, forge: gitlab, secret: env:WEBHOOK_SECRET}]',
    about: 'Deliveries of forges: pushed tags are fetched at once.',
  });

export const auditSchema = z.strictObject({
  max_size: size({ default: '64MiB', minBytes: 64 * 1024, about: 'Of one file; then the next one begins.' }),
  keep: integer({ default: 10, min: 1, max: 1000, about: 'Files that are kept.' }),
});

export const tlsSchema = z.strictObject({
  cert: optionalText({
    noun: 'a file name',
    right: 'write the path of a PEM file',
    about:
      'Certificate, with its chain, for the `https://` addresses of `listen`. Read again when it changes.',
  }),
  key: optionalText({
    noun: 'a file name',
    right: 'write the path of a PEM file',
    about: 'Its key, not encrypted.',
  }),
  client_ca: optionalText({
    noun: 'a file name',
    right: 'write the path of a PEM file',
    about: 'Authorities whose client certificates are believed.',
  }),
  client_auth: withDefault(z.literal(['none', 'optional', 'required']), 'none', {
    kind: 'text',
    noun: 'one of none, optional, required',
    right: 'write one of none, optional, required',
    about: 'Whether clients show a certificate.',
  }),
  min_version: withDefault(z.literal(['1.2', '1.3']), '1.2', {
    kind: 'text',
    noun: 'one of 1.2, 1.3',
    right: "write '1.2' or '1.3', in quotes",
    about: 'Oldest TLS that is spoken.',
  }),
});
