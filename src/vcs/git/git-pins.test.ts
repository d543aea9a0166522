import { describe, expect, it } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { HostPlaces } from '../../lib/host-places.ts';
import { tempFolder } from '../credentials/test-finder.ts';
import { VcsError } from '../types.ts';
import { GitCaller } from './git-caller.ts';
import { type GitCall, GitRunner } from './git-command.ts';
import { gitEnvironment } from './git-environment.ts';
import type { GitTransportOptions, RemoteReach } from './git-options.ts';

const never = new AbortController().signal;

function settingOf(key: string, reach: RemoteReach, transport: GitTransportOptions): string | undefined {
  const env = gitEnvironment({ searchPath: '', homeDir: '/home', transport }, reach, undefined);
  const name = Object.keys(env).find((one) => one.startsWith('GIT_CONFIG_KEY_') && env[one] === key);
  return env[name?.replace('KEY', 'VALUE') ?? ''];
}

describe('what git is held to', () => {
  it('follows redirects only where the host is not chosen by others', () => {
    const reach = { url: 'https://x.example/a', credential: undefined };
    const redirects = (transport: GitTransportOptions) => settingOf('http.followRedirects', reach, transport);
    expect(redirects({})).toBe('initial');
    expect(redirects({ followsRedirects: (url) => url !== reach.url })).toBe('false');
    expect(redirects({ addressFor: () => '192.0.2.1' })).toBe('false');
  });

  it('connects by ssh to the address that was judged, and knows the host by its name', () => {
    const command = (url: string, address: string | undefined) =>
      settingOf('core.sshCommand', { url, credential: undefined }, { addressFor: () => address });
    expect(command('ssh://git@x.example/a', undefined)).not.toContain('HostName');
    expect(command('ssh://git@x.example/a', '192.0.2.1,192.0.2.2')).toContain(
      "'-o' 'HostName=192.0.2.1' '-o' 'HostKeyAlias=x.example'".replaceAll("'-o'", '-o'),
    );
    expect(command('ssh://git@X.example:2222/a', '2001:db8::1')).toContain(
      "'HostName=2001:db8::1' -o 'HostKeyAlias=[x.example]:2222'",
    );
  });

  it('waits for the rule of the outbound proxy, and does not go where it cannot say', async () => {
    const reaches: GitCall['reach'][] = [];
    const runner = {
      run: async (_: unknown, { reach }: GitCall) => {
        reaches.push(reach);
        return { exitCode: 0, stdout: Buffer.alloc(0), stderr: '' };
      },
    } as unknown as GitRunner;
    const credentials = { find: async () => undefined };
    const target = { url: 'https://x.example/a', path: undefined };
    const by = (proxyFor: GitTransportOptions['proxyFor']) =>
      new GitCaller(runner, credentials, { proxyFor }).remote(target, ['fetch'], { signal: never });
    await by(async () => 'http://proxy.example:3128');
    expect(reaches).toEqual([expect.objectContaining({ proxy: 'http://proxy.example:3128' })]);
    expect(settingOf('http.proxy', reaches[0] as RemoteReach, {})).toBe('http://proxy.example:3128');
    await expect(by(() => Promise.reject(new VcsError('proxy', 'no answer')))).rejects.toMatchObject({
      code: 'proxy',
    });
    expect(reaches).toHaveLength(1);
  });

  it('shares places between runners, a few for each host', async () => {
    const places = new HostPlaces({ inAll: 8, perHost: 1, maxQueued: 8 });
    const options = { searchPath: process.env['PATH'] ?? '', homeDir: tempFolder(), transport: { places } };
    const runner = new GitRunner(options, systemClock);
    const at = (url: string, signal = never) =>
      runner.run(['--version'], { signal, reach: { url, credential: undefined } });
    await places.acquire('slow.example', never);
    const gone = new AbortController();
    const waiting = at('https://slow.example/a', gone.signal);
    expect((await at('https://quick.example/a')).exitCode).toBe(0);
    expect(places.queued).toBe(1);
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
  });
});
