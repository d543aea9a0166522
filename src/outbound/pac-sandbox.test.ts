import { isIP } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { PacError } from './pac-answer.ts';
import { PacSandbox, type PacSandboxOptions } from './pac-sandbox.ts';

const question = { url: 'https://a.example/', host: 'a.example' };
const open: PacSandbox[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((sandbox) => sandbox.close()));
});

function sandboxFor(script: string, more: Partial<PacSandboxOptions> = {}): PacSandbox {
  const sandbox = new PacSandbox({ script, shown: '/x.pac', clock: systemClock, answerMs: 5000, ...more });
  open.push(sandbox);
  return sandbox;
}

/** The answer to an expression over `url` and `host`. */
function evaluate(expression: string): Promise<string> {
  return sandboxFor(`function FindProxyForURL(url, host) { return String(${expression}); }`).ask(question);
}

async function failureOf(work: Promise<unknown>): Promise<PacError> {
  const error = await work.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof PacError) return error;
  throw new Error('it did not fail with PacError', { cause: error });
}

describe('PacSandbox', () => {
  it('answers, again and again, from one load of the script', async () => {
    const sandbox = sandboxFor('var n = 0; function FindProxyForURL(url, host) { return host + url + ++n; }');

    expect(await sandbox.ask(question)).toBe('a.examplehttps://a.example/1');
    expect(await sandbox.ask(question)).toBe('a.examplehttps://a.example/2');
  });

  it.each([
    ['shExpMatch(host, "*.example")', 'true'],
    ['dnsDomainIs(host, ".example")', 'true'],
    ['isPlainHostName(host)', 'false'],
    ['dnsDomainLevels(host)', '1'],
    ['isInNet("10.1.2.3", "10.0.0.0", "255.0.0.0")', 'true'],
    ['isInNet("11.1.2.3", "10.0.0.0", "255.0.0.0")', 'false'],
    ['isInNet("200.1.2.3", "200.1.0.0", "255.255.0.0")', 'true'],
    ['dnsResolve("10.1.2.3")', '10.1.2.3'],
    ['isResolvable("10.1.2.3")', 'true'],
  ])('%s is %s', async (expression, expected) => {
    expect(await evaluate(expression)).toBe(expected);
  });

  it('looks no name up', async () => {
    const calls = ['dnsResolve("localhost")', 'isResolvable("localhost")'];
    calls.push('isInNet("localhost", "127.0.0.0", "255.0.0.0")');

    expect(await evaluate(`[${calls.join(',')}].join(' ')`)).toBe(' false false');
  });

  it('gives this machine an address', async () => {
    expect(isIP(await evaluate('myIpAddress()'))).not.toBe(0);
  });

  it('has nothing of the process', async () => {
    const names = ['process', 'require', 'fetch', 'setTimeout', 'WebAssembly', 'XMLHttpRequest'];

    expect(await evaluate(names.map((name) => `typeof ${name}`).join(' + " " + '))).toBe(
      names.map(() => 'undefined').join(' '),
    );
    expect(await evaluate('(function () { return typeof this.process; })()')).toBe('undefined');
  });

  it.each(['null', 'undefined', '""'])('takes %s for no proxy', async (value) => {
    const sandbox = sandboxFor(`function FindProxyForURL() { return ${value}; }`);
    expect(await sandbox.ask(question)).toBe('');
  });

  it.each([
    ['never ends', 'while (true) {}'],
    ['backtracks for ever', `return shExpMatch("${'a'.repeat(60)}", "${'*a'.repeat(15)}*b");`],
  ])('stops a script that %s, and says so by its name', async (_what, body) => {
    let turns = 0;
    const ticking = setInterval(() => (turns += 1), 5);
    const sandbox = sandboxFor(`function FindProxyForURL() { ${body} }`, { answerMs: 300 });
    const error = await failureOf(sandbox.ask(question));
    clearInterval(ticking);

    expect(error.message).toBe('the PAC script /x.pac ran longer than 0.3 s and was stopped; correct it');
    // The event loop went on meanwhile.
    expect(turns).toBeGreaterThan(10);
  });

  it('stops a script that never ends while it is loaded', async () => {
    const sandbox = sandboxFor('while (true) {} function FindProxyForURL() {}', { loadMs: 300 });
    expect((await failureOf(sandbox.ask(question))).message).toContain('longer than 0.3 s');
  });

  it('does not try a stopped script again for every host', async () => {
    const clock = new FakeClock();
    const sandbox = sandboxFor('function FindProxyForURL() { return 1 } throw new Error("no");', { clock });
    const first = await failureOf(sandbox.ask(question));

    expect(first.message).toBe('the PAC script /x.pac failed: no');
    expect(await failureOf(sandbox.ask(question))).toBe(first);
    await clock.advance(10_001);
    expect(await failureOf(sandbox.ask(question))).not.toBe(first);
  });

  it.each([
    [
      'takes memory without end',
      'var a = []; while (true) a.push(new Array(1e5).fill(a.length));',
      'out of memory',
    ],
    ['throws', 'throw new Error("boo");', 'boo'],
    ['gives a number', 'return 5;', 'a number instead of text'],
    ['gives too much', 'var s = "x"; while (s.length < 10000) s += s; return s;', 'too long'],
  ])('fails when the script %s', async (_what, body, expected) => {
    const sandbox = sandboxFor(`function FindProxyForURL() { ${body} }`);
    expect((await failureOf(sandbox.ask(question))).message).toContain(expected);
  });

  it('works again after a failure that broke its machine', async () => {
    const script =
      'function f() { return f() + 1 } function FindProxyForURL(u, host) { return host === "a.example" ? f() : "DIRECT" }';
    const sandbox = sandboxFor(script);

    await failureOf(sandbox.ask(question));
    expect(await sandbox.ask({ url: 'https://b.example/', host: 'b.example' })).toBe('DIRECT');
  });

  it.each([
    ['is not one', 'var x = 1;', 'FindProxyForURL'],
    ['is broken', 'function FindProxyForURL(', 'Line 1'],
  ])('fails when the script %s', async (_what, script, expected) => {
    expect((await failureOf(sandboxFor(script).ask(question))).message).toContain(expected);
  });

  it('ends what is asked when it is closed', async () => {
    const sandbox = sandboxFor('function FindProxyForURL() { while (true) {} }', { answerMs: 60_000 });
    const asked = failureOf(sandbox.ask(question));
    await sandbox.close();

    expect((await asked).message).toContain('/x.pac');
    expect((await failureOf(sandbox.ask(question))).message).toContain('no longer in use');
  });
});
