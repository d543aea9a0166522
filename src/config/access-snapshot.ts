/** `routes`, `access`, `direct`, `webhooks` and their like as the rest of modferry sees them. */
import type { Secret } from '../lib/secret.ts';
import type { ParsedConfig } from './schema.ts';

type Secrets = ReadonlyMap<string, Secret>;

/** An entry may hold several, as GOPRIVATE does. */
export function splitPatterns(text: string): string[] {
  return text.split(',').map((pattern) => pattern.trim());
}

export function routesOf(parsed: ParsedConfig) {
  return parsed.routes.map((route) => {
    const patterns = route.match.flatMap(splitPatterns);
    return {
      name: route.name ?? patterns[0] ?? '',
      patterns,
      isPrivate: route.private,
      sources: route.sources,
      access: {
        read: route.read ?? (route.private ? [] : [{ kind: 'anonymous' as const }]),
        publish: route.publish,
        admin: route.admin,
        allow: route.allow,
        deny: route.deny,
      },
      checksums: route.checksums,
      freshMs: { list: route.freshness.list, query: route.freshness.query },
      keepMs: route.keep,
    };
  });
}

export function accessOf({ access }: ParsedConfig, secrets: Secrets) {
  const { ldap, oidc, rate } = access;
  return {
    public: access.public,
    private: access.private,
    isHiding: access.hide,
    allow: access.allow,
    deny: access.deny,
    trustedProxies: access.trusted_proxies,
    rate: { identity: rateOf(rate.identity), address: rateOf(rate.address) },
    failuresPerMinute: access.failures_per_minute,
    htpasswdFile: access.htpasswd,
    groupsFile: access.groups,
    ldap: {
      urls: ldap.url,
      startTls: ldap.start_tls,
      caFile: ldap.ca_file,
      bindDn: ldap.bind_dn,
      bindPassword: secrets.get('access.ldap.bind_password'),
      userDn: ldap.user_dn,
      userBase: ldap.user_base,
      userFilter: ldap.user_filter,
      groupBase: ldap.group_base,
      groupFilter: ldap.group_filter,
      groupName: ldap.group_name,
      timeoutMs: ldap.timeout,
    },
    oidc: {
      issuer: oidc.issuer,
      clientId: oidc.client_id,
      scopes: oidc.scopes,
      nameClaim: oidc.name_claim,
      groupsClaim: oidc.groups_claim,
      sessionMs: oidc.session,
      required: { groups: oidc.required_groups, claims: claimsOf(oidc.required_claims) },
      caFile: oidc.ca_file,
    },
    jwt: access.jwt.map((issuer) => ({
      preset: issuer.preset,
      issuer: issuer.issuer,
      audience: issuer.audience,
      jwksUrl: issuer.jwks_url,
      nameClaim: issuer.name_claim,
      groupsClaim: issuer.groups_claim,
      rules: issuer.rules,
      caFile: issuer.ca_file,
    })),
    certificates: access.certificates,
  };
}

/** Each claim with the values of which any is enough. */
function claimsOf(pairs: readonly (readonly [claim: string, value: string])[]): Record<string, string[]> {
  const byClaim = Map.groupBy(pairs, ([claim]) => claim);
  return Object.fromEntries([...byClaim].map(([claim, each]) => [claim, each.map(([, value]) => value)]));
}

/** Undefined: no limit. */
function rateOf({ per_second: perSecond, burst }: { per_second: number; burst: number }) {
  return perSecond === 0 ? undefined : { perSecond, burst: burst === 0 ? 10 * perSecond : burst };
}

export function directOf({ direct }: ParsedConfig, secrets: Secrets) {
  return {
    isEnabled: direct.enabled,
    git: direct.git,
    repositories: direct.repositories.map((rule) => ({
      patterns: rule.match.flatMap(splitPatterns),
      url: rule.url,
      root: rule.root,
      depth: rule.depth,
      probe: rule.probe,
    })),
    credentials: direct.credentials.map((entry, index) => {
      const secret = (key: string) => secrets.get(`direct.credentials[${index}].${key}`);
      return {
        match: entry.match.flatMap(splitPatterns),
        token: secret('token'),
        scheme: entry.scheme,
        username: entry.username,
        password: secret('password'),
        sshKey: entry.ssh_key,
        knownHosts: entry.known_hosts,
        netrc: entry.netrc,
        command: entry.command,
        githubApp:
          entry.github_app === undefined
            ? undefined
            : {
                appId: entry.github_app,
                key: secret('github_key'),
                installation: entry.github_installation,
                apiUrl: entry.github_api,
              },
      };
    }),
    usesMachineNetrc: direct.machine_netrc,
    concurrency: direct.concurrency,
    fetchTimeoutMs: direct.fetch_timeout,
    maxRepositoryBytes: direct.max_repository,
    maxMirrorsBytes: direct.max_size,
    insecure: direct.insecure.flatMap(splitPatterns),
    allowHosts: direct.allow_hosts,
    allowAddresses: direct.allow_addresses,
    allowPorts: direct.allow_ports,
    otherVcs: direct.other_vcs as readonly ('hg' | 'svn' | 'fossil' | 'bzr')[],
  };
}

export function webhooksOf(parsed: ParsedConfig, secrets: Secrets) {
  return parsed.webhooks.map((webhook, index) => ({
    name: webhook.name,
    forge: webhook.forge,
    secret: secrets.get(`webhooks[${index}].secret`),
    allow: webhook.allow,
  }));
}

/** Undefined: no address of `listen` speaks TLS. */
export function tlsOf({ tls }: ParsedConfig) {
  if (tls.cert === undefined || tls.key === undefined) return undefined;
  return {
    certFile: tls.cert,
    keyFile: tls.key,
    clientCaFile: tls.client_ca,
    clientAuth: tls.client_auth,
    minVersion: tls.min_version === '1.3' ? ('TLSv1.3' as const) : ('TLSv1.2' as const),
  };
}
