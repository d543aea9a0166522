/** What the admin socket can do with deliveries of webhooks. Spread into `adminActions`. */
import type { Audit } from '../audit/types.ts';
import type { AdminActions } from '../http/admin.ts';
import { ModferryError } from '../lib/errors.ts';
import { deliveryJson } from '../webhooks/delivery.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';

export interface DeliveryActionsDeps {
  readonly webhooks: Pick<Webhooks, 'replay'>;
  readonly audit: Audit;
}

export function deliveryActions({ webhooks, audit }: DeliveryActionsDeps): AdminActions {
  return {
    'POST /deliveries/replay': async ({ id }) => {
      if (typeof id !== 'string') throw new ModferryError('bad_request', 'name a delivery: {"id": …}');
      const record = await webhooks.replay(id);
      audit.note({
        action: 'replay',
        who: 'local',
        from: 'local',
        result: record.state === 'failed' ? 'failed' : 'ok',
        reason: `delivery ${record.replayOf ?? id} of ${record.webhook}: ${record.state}`,
      });
      return deliveryJson(record);
    },
  };
}
