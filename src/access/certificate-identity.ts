/** Who a client certificate is: by rules on its names, else by its common name. The TLS layer has checked it before. */
import { codePoints, compileGlob, globMatches } from '../gomod/glob.ts';
import { ModferryError } from '../lib/errors.ts';
import type { CertificateOptions, CertificateRule } from './access-options.ts';
import type { ClientCertificate, Identity } from './types.ts';

/** Longer names are nobody's: they go to logs and audit. */
const longestName = 200;
const unprintable = /[^\p{L}\p{N}\p{P}\p{S} ]/u;

type Matcher = (certificate: ClientCertificate) => string | undefined;

/** Gives undefined for a certificate that is nobody here. Throws ModferryError `bad_certificate_rule`. */
export function certificateReader(
  options: CertificateOptions,
): (certificate: ClientCertificate) => Identity | undefined {
  const rules = options.rules.map((rule) => ({ rule, matched: compileMatch(rule.match) }));
  return (certificate) => {
    for (const { rule, matched } of rules) {
      const by = matched(certificate);
      if (by !== undefined) return identityOf(nameBy(rule, certificate, by), rule.groups, certificate);
    }
    const { commonName, units } = certificate;
    return options.byCommonName ? identityOf(commonName, units, certificate) : undefined;
  };
}

function nameBy(rule: CertificateRule, { commonName }: ClientCertificate, by: string): string {
  return rule.name ?? (commonName === '' ? by : commonName);
}

function identityOf(
  name: string,
  groups: readonly string[],
  { expiresAtMs }: ClientCertificate,
): Identity | undefined {
  if (name === '' || name.length > longestName || unprintable.test(name)) return undefined;
  return { kind: 'certificate', name, groups, scopes: undefined, expiresAtMs };
}

/** Resolves to what matched. */
function compileMatch(match: string): Matcher {
  const colon = match.indexOf(':');
  const kind = match.slice(0, Math.max(0, colon));
  const pattern = match.slice(colon + 1);
  if (kind === 'fingerprint') {
    // As openssl writes it, with or without colons.
    const digits = pattern.replaceAll(':', '').toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(digits)) throw badRule(match, 'a fingerprint is 64 hex digits of SHA-256');
    return ({ fingerprint }) => (fingerprint === digits ? fingerprint : undefined);
  }
  const glob = pattern === '' ? undefined : compileGlob(pattern);
  if (glob === undefined) throw badRule(match, 'its pattern is empty or malformed');
  const fits = (text: string): boolean => text.length <= 1024 && globMatches(glob, codePoints(text));
  if (kind === 'cn') {
    return ({ commonName }) => (commonName !== '' && fits(commonName) ? commonName : undefined);
  }
  if (kind === 'dns' || kind === 'email' || kind === 'uri') {
    const prefix = `${kind}:`;
    return ({ names }) => {
      const own = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
      return own.find(fits);
    };
  }
  throw badRule(match, 'begin it with cn:, dns:, email:, uri: or fingerprint:');
}

function badRule(match: string, why: string): ModferryError<'bad_certificate_rule'> {
  return new ModferryError('bad_certificate_rule', `the certificate rule "${match.slice(0, 200)}": ${why}`);
}
