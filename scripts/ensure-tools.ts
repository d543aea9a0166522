/** Brings what the tests need and a fresh machine may lack, through the machine's own package manager. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

interface Tool {
  readonly command: string;
  readonly debian: string;
  readonly why: string;
}

const tools: readonly Tool[] = [
  { command: 'go', debian: 'golang', why: 'the client that the end-to-end tests drive' },
  { command: 'git', debian: 'git', why: 'the go command asks for it' },
  { command: 'slapd', debian: 'slapd', why: 'the LDAP server that tests log in to' },
  { command: 'nginx', debian: 'nginx-light', why: 'serves the store as plain files in a test' },
  { command: 'sshd', debian: 'openssh-server', why: 'serves repositories over ssh in tests' },
  { command: 'ssh', debian: 'openssh-client', why: 'git runs it for ssh URLs' },
  { command: 'hg', debian: 'mercurial', why: 'another version control system that modules come from' },
  { command: 'svnserve', debian: 'subversion', why: 'another version control system that modules come from' },
];

/** Throws when a tool is missing and cannot be installed. */
export async function ensureTools(): Promise<void> {
  const missing = tools.filter((tool) => !has(tool.command));
  if (missing.length === 0) return;
  process.stdout.write(`installing ${missing.map((tool) => tool.debian).join(', ')}\n`);
  // Run level 1: servers that are installed for tests are started by tests, and by nobody else.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'inherit', env });
  spawnSync(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', ...missing.map((tool) => tool.debian)],
    {
      stdio: 'inherit',
      env,
    },
  );
  for (const tool of missing) {
    if (!has(tool.command)) {
      throw new Error(`the tests need ${tool.command} (${tool.why}); install it and run them again`);
    }
  }
}

function has(command: string): boolean {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  return path.split(':').some((dir) => existsSync(`${dir}/${command}`));
}
