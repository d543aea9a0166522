import { describe, expect, it } from 'vitest';
import type { ModulePath, Version } from '../gomod/types.ts';
import { DownloadForecast } from './download-forecast.ts';

function forecastOf(...mods: [string, string][]): DownloadForecast {
  const forecast = new DownloadForecast();
  for (const [path, version] of mods) forecast.askedMod('client', path as ModulePath, version as Version);
  return forecast;
}

describe('DownloadForecast', () => {
  it('tells the next modules by path, each at the highest version asked', () => {
    const forecast = forecastOf(
      ['c.com/x', 'v1.0.0'],
      ['a.com/x', 'v1.0.0'],
      ['b.com/x', 'v1.2.0'],
      ['b.com/x', 'v1.1.0'],
    );

    expect(forecast.after('client', 'a.com/x' as ModulePath, 5)).toEqual([
      { path: 'b.com/x', version: 'v1.2.0' },
      { path: 'c.com/x', version: 'v1.0.0' },
    ]);
  });

  it('tells nothing to a client that has shown no graph, or for a module outside it', () => {
    const forecast = forecastOf(['a.com/x', 'v1.0.0'], ['b.com/x', 'v1.0.0']);

    expect(forecast.after('other', 'a.com/x' as ModulePath, 5)).toEqual([]);
    expect(forecast.after('client', 'z.com/x' as ModulePath, 5)).toEqual([]);
  });

  it('tells no more than asked for', () => {
    const forecast = forecastOf(['a.com/x', 'v1.0.0'], ['b.com/x', 'v1.0.0'], ['c.com/x', 'v1.0.0']);

    expect(forecast.after('client', 'a.com/x' as ModulePath, 1)).toHaveLength(1);
  });

  it('takes in modules that are asked after the first forecast', () => {
    const forecast = forecastOf(['a.com/x', 'v1.0.0']);
    forecast.after('client', 'a.com/x' as ModulePath, 5);

    forecast.askedMod('client', 'b.com/x' as ModulePath, 'v1.0.0' as Version);

    expect(forecast.after('client', 'a.com/x' as ModulePath, 5)).toHaveLength(1);
  });
});
