import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeGitRepo } from '../../../test/kit/git-repo.ts';
import { RefTable } from '../module/ref-table.ts';
import { ListingMemory, type ListingOwner } from './listing-memory.ts';
import { listingBytes, type RefListing, RefParser } from './ref-listing.ts';
import { never, testMirrors, twoCommits } from './test-mirrors.ts';

const commit = 'a'.repeat(40);
const listing: RefListing = Array.from({ length: 100 }, (_, index) => ({
  name: `refs/tags/v1.0.${index}`,
  commit,
}));

class Owner implements ListingOwner {
  isIdle = true;
  forgotten = 0;
  forgetListing(): void {
    this.forgotten += 1;
  }
}

describe('the memory of listings', () => {
  it('lets go of what was not used for longest, and of nothing that is in use', () => {
    const memory = new ListingMemory(3 * listingBytes(listing));
    const [a, b, c, d, e] = [new Owner(), new Owner(), new Owner(), new Owner(), new Owner()];
    for (const owner of [a, b, c]) memory.keep(owner, listing);
    memory.used(a);
    c.isIdle = false;
    memory.keep(d, listing);
    expect([a, b, c, d].map(({ forgotten }) => forgotten)).toEqual([0, 1, 0, 0]);
    memory.keep(e, listing);
    expect([a, b, c, d, e].map(({ forgotten }) => forgotten)).toEqual([1, 1, 0, 0, 0]);
    // A newer listing of the same owner takes the place of its last one.
    memory.keep(e, listing);
    expect(d.forgotten).toBe(0);
    memory.drop(d);
    memory.keep(a, listing);
    expect(e.forgotten).toBe(0);
  });
});

describe('a listing', () => {
  const line = (index: number, pad = ''): string => `${commit}\trefs/tags/v1.0.${index}${pad}\n`;

  it('has at most 100,000 branches and tags, and names of 16 MiB', () => {
    const parser = new RefParser();
    parser.push(Buffer.from(Array.from({ length: 100_000 }, (_, index) => line(index)).join('')));
    expect(parser.refs()).toHaveLength(100_000);
    expect(() => parser.push(Buffer.from(line(100_000)))).toThrow(
      expect.objectContaining({ code: 'too_large', message: expect.stringContaining('100000 branches') }),
    );
    const wide = new RefParser();
    const pad = `-${'a'.repeat(900)}`;
    expect(() => {
      for (let index = 0; index < 20_000; index += 1) wide.push(Buffer.from(line(index, pad)));
    }).toThrow(expect.objectContaining({ code: 'too_large' }));
  });

  it('is made a table of once', () => {
    expect(RefTable.of(listing)).toBe(RefTable.of(listing));
    expect(RefTable.of([...listing])).not.toBe(RefTable.of(listing));
  });
});

describe('a mirror whose listing was let go', () => {
  it('asks once more, and fetches nothing for it', async () => {
    const { open, mirrors, server, repo, dir } = await testMirrors({ mirrors: { maxListingsBytes: 3_500 } });
    await makeGitRepo(join(dir, 'repos/team/other.git'), twoCommits);
    const repository = await open();
    const [first = '', second = ''] = repo.commits;
    await repository.commit(first, never);
    await repository.refs(60_000, never);
    await (await open(mirrors, `${server.url}/team/other.git`)).refs(0, never);
    server.requests.length = 0;
    expect(await repository.tagsBefore(second, never)).toEqual(['v1.0.0', 'v1.1.0']);
    expect(server.count('refs')).toBe(1);
    expect(server.count('fetch')).toBe(0);
  });
});
