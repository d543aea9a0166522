import { describe, expect, it } from 'vitest';
import { load } from '../config/load-kit.ts';
import { credentialEntries } from './credential-entries.ts';

describe('credentialEntries', () => {
  it('maps each kind, with file names from the working folder', async () => {
    const yaml = `direct:
  credentials:
    - { match: a.example, token: t, scheme: bearer }
    - { match: b.example, username: u, password: p }
    - { match: [c.example, c.example/x], ssh_key: keys/id, known_hosts: /etc/known }
    - { match: d.example, netrc: .netrc }
    - { match: e.example, command: [/bin/helper, --short] }
    - { match: f.example, github_app: '12', github_key: pem, github_installation: '34' }
`;
    const { config } = await load(yaml);
    const entries = credentialEntries(config.direct.credentials, '/srv');

    expect(entries.map(({ match }) => match)).toEqual([
      ['a.example'],
      ['b.example'],
      ['c.example', 'c.example/x'],
      ['d.example'],
      ['e.example'],
      ['f.example'],
    ]);
    expect(entries.map(({ use }) => use)).toMatchObject([
      { kind: 'token', header: 'bearer' },
      { kind: 'password', username: 'u' },
      { kind: 'ssh_key', keyFile: '/srv/keys/id', knownHostsFile: '/etc/known' },
      { kind: 'netrc', file: '/srv/.netrc' },
      { kind: 'command', argv: ['/bin/helper', '--short'] },
      { kind: 'github_app', appId: '12', installationId: '34' },
    ]);
  });
});
