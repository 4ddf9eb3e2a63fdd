// salesforce-pubsub-api-client (Node, Pub/Sub API): decodes events and turns bitmaps to names by
// itself. It speaks gRPC with TLS only, and trusts only the authorities it brings along, so that
// the check of the certificate is off here; jsforce writes what it shall see.
'use strict';
const assert = require('assert/strict');
const jsforce = require('jsforce');
const { default: PubSubApiClient } = require('salesforce-pubsub-api-client');
const { checksOf, fake, main } = require('./checks.js');

const check = checksOf('salesforce-pubsub-api-client https, gRPC with TLS');
const TOPIC = '/data/AccountChangeEvent';
const SIGN_INS = {
    'client credentials': {
        authType: 'oauth-client-credentials',
        clientSecret: fake.clientSecret,
    },
    'JWT bearer': {
        authType: 'oauth-jwt-bearer',
        username: fake.username,
        privateKey: fake.privateKey,
    },
};
const quiet = { debug() {}, info() {}, warn: console.error, error: console.error };

function pubSub(signIn) {
    const config = {
        loginUrl: fake.url,
        clientId: fake.clientId,
        // By name: Node warns of TLS to a bare address.
        pubSubEndpoint: fake.grpc.replace('127.0.0.1', 'localhost'),
        rejectUnauthorizedSsl: false,
    };
    return new PubSubApiClient({ ...config, ...signIn }, quiet);
}

// What a subscription's callback was called with, to be waited for in order.
class Calls {
    #calls = [];
    #wake = () => {};

    callback = (_subscription, type, data) => {
        this.#calls.push({ type, data });
        this.#wake();
    };

    async next(wanted) {
        for (;;) {
            while (this.#calls.length > 0) {
                const { type, data } = this.#calls.shift();
                if (type === wanted) return data;
                if (type === 'error') throw data;
            }
            await new Promise((wake) => (this.#wake = wake));
        }
    }

    async change(changeType, id) {
        const event = await this.next('event');
        const header = event.payload.ChangeEventHeader;
        assert.equal(header.entityName, 'Account');
        assert.equal(header.changeType, changeType);
        assert.deepEqual(header.recordIds, [id]);
        return event;
    }
}

async function events(client, Account) {
    const latest = new Calls();
    await check('subscribes from LATEST and gets a keep-alive', async () => {
        client.subscribe(TOPIC, latest.callback);
        await latest.next('grpcKeepAlive');
    });
    const id = await check('jsforce writes a record', async () => {
        const written = await Account.create({ Name: 'pozil', BillingCity: 'Zürich', NumberOfEmployees: 7 });
        return written.id;
    });
    const created = await check('decodes its CREATE event', async () => {
        const event = await latest.change('CREATE', id);
        assert.equal(event.payload.Name, 'pozil');
        assert.equal(event.payload.BillingAddress.City, 'Zürich');
        assert.equal(event.payload.NumberOfEmployees, 7);
        return event;
    });
    await check('decodes its UPDATE event, bitmaps to names', async () => {
        await Account.update({ Id: id, Name: 'pozil 2', BillingCity: 'Basel', NumberOfEmployees: null });
        const { payload } = await latest.change('UPDATE', id);
        assert.equal(payload.Name, 'pozil 2');
        const { changedFields, nulledFields } = payload.ChangeEventHeader;
        for (const name of ['Name', 'BillingAddress.City', 'NumberOfEmployees', 'LastModifiedDate']) {
            assert.ok(changedFields.includes(name), `${name} in ${changedFields}`);
        }
        assert.ok(!changedFields.includes('CreatedDate'));
        assert.deepEqual(nulledFields, ['NumberOfEmployees']);
    });
    await check('decodes its DELETE event', async () => {
        await Account.destroy(id);
        await latest.change('DELETE', id);
    });
    return { id, replayId: created.replayId };
}

main(async () => {
    const conn = new jsforce.Connection({
        loginUrl: fake.url,
        oauth2: { loginUrl: fake.url, clientId: fake.clientId, clientSecret: fake.clientSecret },
    });
    await conn.authorize({ grant_type: 'client_credentials' });
    const Account = conn.sobject('Account');
    const clients = {};
    for (const [name, signIn] of Object.entries(SIGN_INS)) {
        clients[name] = await check(`signs in with ${name}`, async () => {
            const client = pubSub(signIn);
            await client.connect();
            return client;
        });
    }
    const { id, replayId } = await events(clients['JWT bearer'], Account);
    const client = clients['client credentials'];
    await check('resumes after a replay id, for as many events as it asked for', async () => {
        const calls = new Calls();
        client.subscribeFromReplayId(TOPIC, calls.callback, 2, replayId);
        await calls.change('UPDATE', id);
        await calls.change('DELETE', id);
        await calls.next('lastEvent');
    });
    client.close();
    clients['JWT bearer'].close();
});
