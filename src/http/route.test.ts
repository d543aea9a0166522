import { describe, expect, it } from 'vitest';
import { InvalidRequestError } from '../gomod/invalid-request.ts';
import { parseRoute } from './route.ts';

function operation(url: string, prefix = '') {
  const route = parseRoute(url, prefix);
  return route.kind === 'protocol' ? route.operation : route;
}

describe('parseRoute', () => {
  it('reads both spellings of an escaped letter as one key', () => {
    const plain = operation('/github.com/!azure/x/@v/v1.0.0.mod');
    const encoded = operation('/github.com/%21azure/x/@v/v1.0.0.mod');

    expect(plain).toEqual(encoded);
    expect(plain).toEqual({
      kind: 'artifact',
      key: { path: 'github.com/Azure/x', version: 'v1.0.0', ext: 'mod' },
    });
  });

  it.each([
    ['/a.com/b/@v/list', { kind: 'list', path: 'a.com/b' }],
    ['/a.com/b/@latest', { kind: 'latest', path: 'a.com/b' }],
    ['/a.com/b/@v/master.info', { kind: 'query', path: 'a.com/b', query: 'master' }],
    ['/a.com/b/@v/v2.0.0.info', { kind: 'query', path: 'a.com/b', query: 'v2.0.0' }],
    ['/a.com/b/@v/v1.info', { kind: 'query', path: 'a.com/b', query: 'v1' }],
    [
      '/a.com/b/@v/v2.0.0+incompatible.zip',
      { kind: 'artifact', key: { path: 'a.com/b', version: 'v2.0.0+incompatible', ext: 'zip' } },
    ],
    ['/a.com/b/@v/list?x=1', { kind: 'list', path: 'a.com/b' }],
    ['/sumdb/sum.golang.org/latest', { kind: 'sumdb', rest: 'sum.golang.org/latest' }],
  ])('reads %s', (url, expected) => {
    expect(operation(url)).toEqual(expected);
  });

  it('takes a configured prefix off, and answers health pages with and without it', () => {
    expect(operation('/goproxy/a.com/b/@v/list', '/goproxy')).toEqual({ kind: 'list', path: 'a.com/b' });
    expect(operation('/goproxy/', '/goproxy')).toEqual({ kind: 'page', name: 'home' });
    expect(operation('/healthz', '/goproxy')).toEqual({ kind: 'page', name: 'healthz' });
    expect(operation('/a.com/b/@v/list', '/goproxy')).toEqual({ kind: 'unknown' });
    expect(operation('/goproxyx/a.com/b/@v/list', '/goproxy')).toEqual({ kind: 'unknown' });
  });

  it.each([
    '/a.com%2Fb/@v/list',
    '/a.com/b%2f/@v/list',
    '/a.com/b%5c/@v/list',
    '/a.com/b%00/@v/list',
    '/a.com/../b/@v/list',
    '/a.com/./b/@v/list',
    '/a.com/%2e%2e/b/@v/list',
    '//a.com/b/@v/list',
    '/a.com/b%0d%0ax/@v/list',
    '/a.com/B/@v/list',
    '/a.com/!B/@v/list',
    '/a.com/b!/@v/list',
    '/a.com/%zz/@v/list',
    '/a.com/%ff/@v/list',
    '/a.com/b/@v/v1.0.0.exe',
    '/a.com/b/@v/.info',
    '/a.com/b/@v/v1.0.0',
    '/a.com/b/@v/master.zip',
    '/a.com/b/@v/v2.0.0.zip',
    '/a.com/b/@v/a/b.info',
    '/nodot/b/@v/list',
    '/-a.com/b/@v/list',
    '/@v/list',
    'http://other.example/a.com/b/@v/list',
    `/a.com/${'b'.repeat(5_000)}/@v/list`,
  ])('refuses %s with a sentence', (url) => {
    expect(() => parseRoute(url, '')).toThrow(InvalidRequestError);
  });

  it('does not take what is not the protocol for it', () => {
    expect(operation('/favicon.ico')).toEqual({ kind: 'unknown' });
    expect(operation('/__proto__')).toEqual({ kind: 'unknown' });
    expect(operation('/constructor')).toEqual({ kind: 'unknown' });
  });
});
