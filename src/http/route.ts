/**
 * From `req.url` to an operation: decoded once, checked by Go's own rules, before anybody is asked. What is not
 * the protocol's shape is refused here with a sentence.
 * @see https://go.dev/ref/mod#goproxy-protocol
 */
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { unescapePath } from '../gomod/module-path.ts';
import type { ArtifactExt, VersionQuery } from '../gomod/types.ts';
import { fitsPath, isCanonical, parseVersionQuery, unescapeVersion } from '../gomod/version.ts';
import type { Operation } from '../proxy/operation.ts';

export type Route =
  | { readonly kind: 'protocol'; readonly operation: Operation }
  | { readonly kind: 'page'; readonly name: PageName }
  /** `name` is what stands behind `/-/v1/`. */
  | { readonly kind: 'api'; readonly name: string }
  | { readonly kind: 'unknown' };

export type PageName = 'home' | 'healthz' | 'readyz' | 'version' | 'metrics' | 'robots';

/** Longer than any path that Go's own limits allow, shorter than what could hurt. */
const maxUrlLength = 4096;

const pages: Readonly<Record<string, PageName>> = {
  '/': 'home',
  '/healthz': 'healthz',
  '/readyz': 'readyz',
  '/version': 'version',
  '/metrics': 'metrics',
  '/robots.txt': 'robots',
};

/** Throws InvalidRequestError. `prefix` is '' or begins with '/' and does not end with one. */
export function parseRoute(url: string, prefix: string): Route {
  if (url.length > maxUrlLength) {
    throw new InvalidRequestError('invalid_request', `the path is longer than ${maxUrlLength} characters`);
  }
  const raw = withoutQuery(url);
  const page = pages[raw];
  if (page !== undefined) return { kind: 'page', name: page };
  const path = decodePath(withoutPrefix(raw, prefix));
  if (path === undefined) return { kind: 'unknown' };
  const underPrefix = pages[path];
  if (underPrefix !== undefined) return { kind: 'page', name: underPrefix };
  // No module path begins with a dash.
  if (path.startsWith('/-/v1/')) return { kind: 'api', name: path.slice('/-/v1/'.length) };
  if (path.startsWith('/sumdb/')) {
    return { kind: 'protocol', operation: { kind: 'sumdb', rest: path.slice('/sumdb/'.length) } };
  }
  const operation = parseOperation(path);
  return operation === undefined ? { kind: 'unknown' } : { kind: 'protocol', operation };
}

function withoutQuery(url: string): string {
  const at = url.indexOf('?');
  const path = at < 0 ? url : url.slice(0, at);
  if (path.startsWith('/')) return path;
  // A proxy-style request line carries a whole URL; we are no forward proxy.
  throw new InvalidRequestError('invalid_request', 'the request path must begin with /');
}

function withoutPrefix(path: string, prefix: string): string | undefined {
  if (prefix === '') return path;
  if (path === prefix) return '/';
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : undefined;
}

/** Percent-decodes once. Refuses encoded slashes, NUL and other control characters, dot segments, bad UTF-8. */
function decodePath(raw: string | undefined): string | undefined {
  if (raw === undefined) return undefined;
  if (/%2f|%5c/i.test(raw)) {
    throw new InvalidRequestError('invalid_request', 'an encoded slash is not allowed in a module path');
  }
  let path = raw;
  if (raw.includes('%')) {
    try {
      path = decodeURIComponent(raw);
    } catch {
      throw new InvalidRequestError('invalid_request', 'the path is not valid percent-encoded UTF-8');
    }
  }
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f\\]/.test(path)) {
    throw new InvalidRequestError('invalid_request', 'the path has a control character or a backslash');
  }
  if (/\/\.{1,2}(?:\/|$)|\/\//.test(path)) {
    throw new InvalidRequestError('invalid_request', 'the path has an empty or a dot segment');
  }
  return path;
}

function parseOperation(path: string): Operation | undefined {
  if (path.endsWith('/@latest')) {
    return { kind: 'latest', path: unescapePath(path.slice(1, -'/@latest'.length)) };
  }
  const at = path.indexOf('/@v/');
  if (at < 0) return undefined;
  const modulePath = unescapePath(path.slice(1, at));
  const file = path.slice(at + '/@v/'.length);
  if (file === 'list') return { kind: 'list', path: modulePath };
  const dot = file.lastIndexOf('.');
  const ext = file.slice(dot + 1);
  if (dot <= 0 || (ext !== 'info' && ext !== 'mod' && ext !== 'zip')) {
    throw new InvalidRequestError('invalid_request', 'after /@v/ comes list, or VERSION.info, .mod or .zip');
  }
  const version = unescapeVersion(file.slice(0, dot));
  if (isCanonical(version) && fitsPath(modulePath, version)) {
    return {
      kind: 'artifact',
      key: { path: modulePath, version, ext: ext satisfies ArtifactExt },
    };
  }
  if (ext !== 'info') {
    throw new InvalidRequestError(
      'invalid_version',
      `.${ext} is asked for canonical versions only; resolve "${version}" through .info first`,
    );
  }
  return { kind: 'query', path: modulePath, query: parseVersionQuery(version) satisfies VersionQuery };
}
