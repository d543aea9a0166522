/** Who asks and what they may: tokens, users, directories and issuers, as the configuration in force names them. */
import { resolve } from 'node:path';
import { type AccessControl, createAccess } from '../access/access.ts';
import type { AccessSetup, CertificateOptions } from '../access/access-options.ts';
import { Htpasswd } from '../access/htpasswd/htpasswd.ts';
import type { LdapAuthenticator } from '../access/ldap/ldap-authenticator.ts';
import { ldapWarnings } from '../access/ldap/ldap-options.ts';
import { type JwtIssuer, type JwtRule, jwtPresets } from '../access/oidc/issuer-options.ts';
import type { JwtAuthenticator } from '../access/oidc/jwt-authenticator.ts';
import { type LoginApi, loginApi } from '../access/oidc/login-api.ts';
import { Tokens } from '../access/tokens/tokens.ts';
import type { Authenticator } from '../access/types.ts';
import type { Config } from '../config/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { isPublicLoginIssuer } from '../lib/token-issuers.ts';
import { isLoopbackHost } from '../outbound/network-address.ts';
import type { ProxyRule } from '../outbound/proxy-rule.ts';
import type { RouteTable } from '../route/types.ts';

export interface AccessInput {
  readonly clock: Clock;
  /** Absolute: what relative file names are meant from. */
  readonly cwd: string;
  /** Absolute. */
  readonly dataDir: string;
  /** Told in sentences what an operator should know. */
  readonly onFault: (sentence: string) => void;
}

/** What one snapshot brings. */
interface Ways {
  readonly htpasswd: Htpasswd | undefined;
  readonly ldap: LdapAuthenticator | undefined;
  readonly jobs: JwtAuthenticator | undefined;
  readonly people: JwtAuthenticator | undefined;
  readonly login: LoginApi | undefined;
}

export class AccessParts {
  readonly tokens: Tokens;
  readonly access: AccessControl;
  readonly #input: AccessInput;
  #ways: Ways;

  private constructor(input: AccessInput, tokens: Tokens, ways: Ways, setup: AccessSetup) {
    this.#input = input;
    this.tokens = tokens;
    this.#ways = ways;
    this.access = createAccess({
      clock: input.clock,
      setup,
      onUnavailable: (name, error) => input.onFault(`${name} cannot say who asks: ${messageOf(error)}`),
    });
  }

  /** Rejects with a ModferryError when a file is missing or a setting cannot be used. */
  static async open(
    input: AccessInput,
    config: Config,
    routes: RouteTable,
    proxy: ProxyRule,
  ): Promise<AccessParts> {
    const { clock, dataDir, onFault } = input;
    const tokens = await Tokens.open(dataDir, { clock, onFault });
    try {
      const ways = await openWays(input, config, tokens, proxy);
      return new AccessParts(input, tokens, ways, setupOf(config, routes, tokens, ways));
    } catch (error) {
      await tokens.close();
      throw error;
    }
  }

  /** Undefined: there is no browser log-in here. */
  get login(): LoginApi | undefined {
    return this.#ways.login;
  }

  /**
   * Prepares another snapshot; the function puts it in force and cannot fail. Rejects as `open`, and the old one goes
   * on.
   */
  async prepare(config: Config, routes: RouteTable, proxy: ProxyRule): Promise<() => void> {
    const ways = await openWays(this.#input, config, this.tokens, proxy);
    const setup = setupOf(config, routes, this.tokens, ways);
    return () => {
      const before = this.#ways;
      this.#ways = ways;
      this.access.adopt(setup);
      void closeWays(before);
    };
  }

  async close(): Promise<void> {
    this.access.close();
    await closeWays(this.#ways);
    await this.tokens.close();
  }
}

/** Sentences for the start: what of this configuration is risky. `hasTokens`: there are static tokens. */
export function accessWarnings(config: Config, hasTokens: boolean): string[] {
  const { access, listen } = config;
  const warnings = access.ldap.urls.length === 0 ? [] : ldapWarnings(access.ldap);
  const asksForCredentials =
    hasTokens ||
    access.htpasswdFile !== undefined ||
    access.ldap.urls.length > 0 ||
    access.oidc.issuer !== undefined ||
    access.jwt.length > 0;
  const { issuer, required } = access.oidc;
  const isOpenToAll = required.groups.length === 0 && Object.keys(required.claims).length === 0;
  if (issuer !== undefined && isPublicLoginIssuer(issuer) && isOpenToAll) {
    warnings.push(
      `everybody can have an account at ${issuer}, and whoever has one can log in here: set access.oidc.required_groups or required_claims, e.g. hd=corp.example`,
    );
  }
  const bare = listen.filter(
    ({ host, isTls, socket }) =>
      isTls !== true && socket === undefined && (host === '' || !isLoopbackHost(host)),
  );
  if (asksForCredentials && bare.length > 0) {
    const names = bare.map(({ host, port }) => `${host === '' ? '*' : host}:${port}`).join(', ');
    warnings.push(
      `credentials of clients come over plain HTTP at ${names}: whoever listens can read them, and go sends none there; listen on https://… with tls.cert and tls.key, or behind a reverse proxy on this machine only`,
    );
  }
  return warnings;
}

async function openWays(input: AccessInput, config: Config, tokens: Tokens, proxy: ProxyRule): Promise<Ways> {
  const { clock, cwd, onFault } = input;
  const { access } = config;
  const file = (name: string | undefined) => (name === undefined ? undefined : resolve(cwd, name));
  const htpasswdFile = file(access.htpasswdFile);
  const htpasswd =
    htpasswdFile === undefined
      ? undefined
      : await Htpasswd.open({ file: htpasswdFile, groupsFile: file(access.groupsFile), clock, onFault });
  const opened: { close(): unknown }[] = htpasswd === undefined ? [] : [htpasswd];
  try {
    const { ldap: directory } = access;
    // The libraries behind these cost every start, and few use them: loaded where they are configured.
    const ldap =
      directory.urls.length === 0
        ? undefined
        : (await import('../access/ldap/ldap-authenticator.ts')).createLdapAuthenticator({
            ...directory,
            userDnTemplate: directory.userDn,
            memberOf: directory.groupBase === undefined ? 'memberOf' : undefined,
            caFile: file(directory.caFile),
            clock,
          });
    if (ldap !== undefined) opened.push(ldap);
    const onRefused = (issuer: string, reason: string) =>
      onFault(`a token of ${issuer} was refused: ${reason}`);
    const issuers = access.jwt.map((each) => issuerOf(each, file(each.caFile)));
    const readTokens = async (of: readonly JwtIssuer[]): Promise<JwtAuthenticator> => {
      const { createJwtAuthenticator } = await import('../access/oidc/jwt-authenticator.ts');
      return createJwtAuthenticator(of, { clock, proxy, onRefused });
    };
    const jobs = issuers.length === 0 ? undefined : await readTokens(issuers);
    if (jobs !== undefined) opened.push(jobs);
    const { issuer, clientId, scopes, nameClaim, groupsClaim, sessionMs, required } = access.oidc;
    if (issuer === undefined || clientId === undefined) {
      return { htpasswd, ldap, jobs, people: undefined, login: undefined };
    }
    const caFile = file(access.oidc.caFile);
    const people = await readTokens([
      { issuer, audience: clientId, nameClaim, groupsClaim, rules: [], isForPeople: true, required, caFile },
    ]);
    opened.push(people);
    const login = loginApi({
      issuer,
      clientId,
      scopes: scopes.split(/\s+/).filter((scope) => scope !== ''),
      authenticator: people,
      sessionMs,
      clock,
      mint: async (grant) => (await tokens.createLogin(grant)).token,
      revoke: (token) => tokens.endLogin(token),
    });
    return { htpasswd, ldap, jobs, people, login };
  } catch (error) {
    for (const each of opened) await each.close();
    throw error;
  }
}

async function closeWays({ htpasswd, ldap, jobs, people }: Ways): Promise<void> {
  ldap?.close();
  await Promise.all([htpasswd?.close(), jobs?.close(), people?.close()]);
}

function setupOf(config: Config, routes: RouteTable, tokens: Tokens, ways: Ways): AccessSetup {
  const { access } = config;
  const others = [ways.htpasswd, ways.jobs, ways.ldap].filter((each) => each !== undefined);
  const authenticators: Authenticator[] = [tokens, ...others];
  return {
    routes,
    authenticators,
    options: {
      allow: access.allow,
      deny: access.deny,
      trustedProxies: access.trustedProxies,
      hide: access.isHiding,
      perIdentity: access.rate.identity,
      perAddress: access.rate.address,
      failuresPerMinute: access.failuresPerMinute,
      certificate: certificatesOf(config),
    },
  };
}

function certificatesOf({ access, tls }: Config): CertificateOptions | undefined {
  if (tls === undefined || tls.clientAuth === 'none') return undefined;
  const rules = access.certificates.map(({ match, name, groups }) => ({ match, name, groups }));
  return { rules, byCommonName: true };
}

type ConfiguredIssuer = Config['access']['jwt'][number];

function issuerOf(configured: ConfiguredIssuer, caFile: string | undefined): JwtIssuer {
  const { preset, issuer, audience, jwksUrl, nameClaim, groupsClaim, rules } = configured;
  const usual = preset === undefined ? undefined : jwtPresets[preset];
  return {
    ...usual,
    issuer: issuer ?? usual?.issuer ?? '',
    audience,
    jwksUrl,
    nameClaim: nameClaim ?? usual?.nameClaim,
    groupsClaim,
    caFile,
    // An instance of one's own is not open to everybody; which one is, its URL says.
    isPublic: undefined,
    rules: rules.map(ruleOf),
  };
}

function ruleOf({ claims, name, groups, read, publish, admin }: ConfiguredIssuer['rules'][number]): JwtRule {
  const isLimited = read !== undefined || publish !== undefined || admin !== undefined;
  return {
    claims,
    name,
    groups,
    scopes: isLimited ? { read: read ?? [], publish: publish ?? [], admin: admin ?? false } : undefined,
  };
}
