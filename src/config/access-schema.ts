/** The schema of who may do what: rules, addresses, rates, and the ways to prove who one is. See docs/access.md. */
import * as z from 'zod';
import {
  document,
  duration,
  entryList,
  flag,
  integer,
  listOf,
  optionalChoice,
  optionalText,
  parsedBy,
  secretText,
  withDefault,
  withoutDefault,
} from './fields.ts';
import {
  type Parsed,
  parseCidr,
  parseClientRange,
  parseHttpUrl,
  parseLdapUrl,
  parseSubject,
} from './shapes.ts';

const day = 86_400_000;

const subjectHint =
  'write anonymous, authenticated, tokens, user:NAME, group:NAME or token:NAME, or a list of them';

const subjectInfo = { kind: 'list', noun: 'whom a rule names', right: subjectHint } as const;

/** Whom one right is given to. */
export function subjects(about: string, value: readonly string[] = []) {
  return withDefault(listOf(parseSubject), [...value], { ...subjectInfo, about });
}

/** The same, or left out. */
export function optionalSubjects(about: string) {
  return withoutDefault(listOf(parseSubject), { ...subjectInfo, about });
}

/** Ranges of clients' addresses. */
export function clientList(about: string) {
  return withDefault(listOf(parseClientRange), [], {
    kind: 'list',
    noun: 'an address range',
    right: 'write e.g. 10.0.0.0/8, 192.0.2.7, fd00::/8, or unix for a Unix socket',
    about,
  });
}

export function addressList(about: string) {
  return withDefault(listOf(parseCidr), [], {
    kind: 'list',
    noun: 'an address range',
    right: 'write e.g. 10.0.0.0/8, 192.0.2.7 or fd00::/8',
    about,
  });
}

function file(about: string) {
  return optionalText({ noun: 'a file name', right: 'write the path of a file', about });
}

function text(about: string, right: string, value: string) {
  return withDefault(z.string().min(1), value, { kind: 'text', noun: 'text', right, about });
}

function rate(whose: string, about: string) {
  return z
    .strictObject({
      per_second: integer({ default: 0, min: 0, max: 1_000_000, about: `${about} 0: no limit.` }),
      burst: integer({
        default: 0,
        min: 0,
        max: 10_000_000,
        about: 'How many at once before that. 0: ten seconds of it.',
      }),
    })
    .prefault({})
    .describe(`How often ${whose} may ask. The repeat of a request within a second does not count.`);
}

const ldap = z.strictObject({
  url: withDefault(listOf(parseLdapUrl), [], {
    kind: 'list',
    noun: 'an LDAP URL',
    right: 'write e.g. ldaps://ldap.corp.example',
    about: 'Directory servers; the next one is asked when one cannot be reached. Empty: no LDAP.',
  }),
  start_tls: flag({
    default: false,
    about: 'Turn an `ldap://` connection into TLS before anything is said.',
  }),
  ca_file: file('PEM file with certificate authorities to trust for it besides the usual ones.'),
  bind_dn: optionalText({
    noun: 'a distinguished name',
    right: 'write e.g. cn=modferry,ou=services,dc=corp,dc=example',
    about: 'Who searches for users. When left out the search is anonymous.',
  }),
  bind_password: secretText('Its password.', 'env:LDAP_PASSWORD or file:/run/secrets/ldap'),
  user_dn: optionalText({
    noun: 'a template of a distinguished name',
    right: 'write e.g. uid={user},ou=people,dc=corp,dc=example',
    about: 'Where a user is, with `{user}`: nobody is searched for then.',
  }),
  user_base: optionalText({
    noun: 'a distinguished name',
    right: 'write e.g. ou=people,dc=corp,dc=example',
    about: 'Under which users are searched for.',
  }),
  user_filter: text('How a user is found, with `{user}`.', 'write e.g. (uid={user})', '(uid={user})'),
  group_base: optionalText({
    noun: 'a distinguished name',
    right: 'write e.g. ou=groups,dc=corp,dc=example',
    about: "Under which a user's groups are searched for. When left out: the user's `memberOf`.",
  }),
  group_filter: text(
    'How the groups of a user are found, with `{dn}` or `{user}`.',
    'write e.g. (member={dn})',
    '(|(member={dn})(uniqueMember={dn})(memberUid={user}))',
  ),
  group_name: text('Attribute that is the name of a group.', 'write e.g. cn', 'cn'),
  timeout: duration({ default: '5s', about: 'For each step.' }),
});

const issuerUrl = (about: string) =>
  withoutDefault(
    parsedBy(z.string(), (raw): Parsed<string> => {
      const parsed = parseHttpUrl(raw);
      return 'value' in parsed ? { value: raw.trim() } : parsed;
    }),
    { kind: 'text', noun: 'an http(s) URL', right: 'write e.g. https://login.corp.example', about },
  );

const claimValue = z.union([z.string().min(1), z.number(), z.boolean()]);
/** One value, or several of which any may be there. */
const wantedClaims = z.record(z.string().min(1), z.union([claimValue, z.array(claimValue).min(1)]));

const groupName = (raw: string): Parsed<string> =>
  raw.trim() === '' ? { wrong: 'is empty' } : { value: raw.trim() };

/** `CLAIM=VALUE`. */
const requiredClaim = (raw: string): Parsed<readonly [claim: string, value: string]> => {
  const [, claim = '', value = ''] = /^([^=]+)=(.+)$/u.exec(raw.trim()) ?? [];
  return claim === '' ? { wrong: 'is no claim with a value' } : { value: [claim.trim(), value.trim()] };
};

const oidc = z.strictObject({
  issuer: issuerUrl('Whose log-in page `modferry login` opens. Left out: no browser log-in.'),
  client_id: optionalText({
    noun: 'text',
    right: 'write the client id that the issuer gave',
    about:
      'Of the public client registered there, with the redirect `http://127.0.0.1/callback` on any port.',
  }),
  scopes: text(
    'What is asked for at log-in.',
    'write names with spaces between them',
    'openid profile email offline_access',
  ),
  name_claim: text('Claim that becomes the user name.', 'write e.g. email', 'preferred_username'),
  groups_claim: text('Claim that becomes the groups.', 'write e.g. roles', 'groups'),
  required_groups: withDefault(listOf(groupName), [], {
    kind: 'list',
    noun: 'a group',
    right: 'write names of groups',
    about: 'Only who is in one of these groups may log in. Empty: no group is asked for.',
  }),
  required_claims: withDefault(listOf(requiredClaim), [], {
    kind: 'list',
    noun: 'a claim with its value',
    right: 'write e.g. hd=corp.example',
    about:
      'Only whose ID token has these claims may log in, e.g. `hd=corp.example`. Values as in `jwt` rules; of one claim with several values any is enough.',
  }),
  session: duration({
    default: '12h',
    maxMs: 90 * day,
    about: 'How long a log-in is good for before it is renewed at the issuer.',
  }),
  ca_file: file('PEM file with certificate authorities to trust for it besides the usual ones.'),
});

const claimRule = z.strictObject({
  claims: wantedClaims,
  name: z.string().min(1).optional(),
  groups: z.array(z.string().min(1)).optional(),
  read: z.array(z.string().min(1)).optional(),
  publish: z.array(z.string().min(1)).optional(),
  admin: z.boolean().optional(),
});

const jwtIssuer = z.strictObject({
  preset: optionalChoice({
    words: ['github', 'gitlab'],
    about: 'Fills in what is usual for GitHub Actions or GitLab CI: issuer and claim of the name.',
  }),
  issuer: issuerUrl('Exactly as in the tokens (`iss`).'),
  audience: document(z.string().min(1), {
    kind: 'text',
    noun: 'text',
    right: 'write what the job asks for, e.g. https://modferry.corp.example',
    about: 'Tokens for another audience (`aud`) are refused.',
  }),
  jwks_url: issuerUrl('Where its keys are. When left out the issuer tells.'),
  name_claim: optionalText({ noun: 'text', right: 'write e.g. sub', about: 'Claim that becomes the name.' }),
  groups_claim: optionalText({ noun: 'text', right: 'write e.g. groups', about: 'Claim with groups.' }),
  rules: withDefault(z.array(claimRule), [], {
    kind: 'list',
    noun: 'a list of rules',
    right: 'write e.g. [{claims: {repository: acme/*}, groups: [ci]}]',
    about:
      'The first rule whose claims all match says name, groups and scopes (`read`, `publish`, `admin`). Values are exact, or patterns as in GOPRIVATE. A list of values: any of them. No rule matches: no identity.',
  }),
  ca_file: file('PEM file with certificate authorities to trust for it besides the usual ones.'),
});

const certificate = z.strictObject({
  match: document(z.string().min(1), {
    kind: 'text',
    noun: 'a pattern',
    right: 'write e.g. cn:ci-*, dns:*.ci.corp.example, email:…, uri:… or fingerprint:SHA256',
    about: 'Which client certificates: `*` stands for anything.',
  }),
  name: optionalText({ noun: 'a name', right: 'write a name', about: 'Instead of the common name.' }),
  groups: withDefault(
    listOf((raw: string): Parsed<string> => ({ value: raw })),
    [],
    {
      kind: 'list',
      noun: 'a group',
      right: 'write names of groups',
      about: 'Besides its organisational units.',
    },
  ),
});

function rights(read: readonly string[], publish: readonly string[], admin: readonly string[]) {
  return z
    .strictObject({
      read: subjects('Who may read.', read),
      publish: subjects('Who may publish.', publish),
      admin: subjects('Who may unpublish, and manage tokens where it is the public route.', admin),
    })
    .prefault({});
}

export const accessSchema = z.strictObject({
  public: rights(['anonymous'], [], ['tokens']).describe('Of everything that no route names.'),
  private: rights(['authenticated'], ['tokens'], ['tokens']).describe('Of what `private` names.'),
  hide: flag({
    default: false,
    about: 'Who may not read gets 404, as if the module were not there, instead of 401 and 403.',
  }),
  allow: clientList('Only these addresses may ask at all. Empty: all.'),
  deny: clientList('These may not.'),
  trusted_proxies: clientList(
    'Reverse proxies whose X-Forwarded-For is believed. From others the header means nothing.',
  ),
  rate: z
    .strictObject({
      identity: rate('one identity', 'Requests a second for each who is logged in.'),
      address: rate('one address', 'Requests a second for each client address.'),
    })
    .prefault({})
    .describe('Limits; over them the answer is 429.'),
  failures_per_minute: integer({
    default: 10,
    min: 1,
    max: 10_000,
    about: 'Failed log-ins for an account from one address, before it has to wait.',
  }),
  htpasswd: file(
    'File of users with bcrypt passwords, as `htpasswd -B` writes it. Read again when it changes.',
  ),
  groups: file('File with lines `group: user user …` for them.'),
  ldap: ldap.prefault({}).describe('Users and groups of a directory.'),
  oidc: oidc.prefault({}).describe('Log-in with a browser: `modferry login`.'),
  jwt: entryList(jwtIssuer, {
    noun: 'a list of issuers',
    right: 'write e.g. [{preset: github, audience: https://modferry.corp.example, rules: […]}]',
    about: 'Whose tokens are believed, for CI jobs.',
  }),
  certificates: entryList(certificate, {
    noun: 'a list of client certificates',
    right: "write e.g. [{match: 'cn:ci-*', groups: [ci]}]",
    about: 'What client certificates stand for besides their common name. The first that matches counts.',
  }),
});
