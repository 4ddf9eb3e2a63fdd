// What the Node clients share: one line for each check, and an exit code.
'use strict';
const fs = require('fs');

const fake = {
    url: process.env.FAKE_URL,
    grpc: process.env.FAKE_GRPC,
    clientId: process.env.FAKE_CLIENT_ID,
    clientSecret: process.env.FAKE_CLIENT_SECRET,
    username: process.env.FAKE_USERNAME,
    privateKey: fs.readFileSync(process.env.FAKE_JWT_KEY, 'ascii'),
    opportunities: Number(process.env.FAKE_OPPORTUNITIES),
};

// Runs checks in order; the first that fails ends the client, as later ones build on it.
function checksOf(client) {
    return async (what, run) => {
        try {
            const result = await run();
            console.log(`ok ${client}: ${what}`);
            return result;
        } catch (error) {
            console.log(`FAIL ${client}: ${what}`);
            console.error(error);
            process.exit(1);
        }
    };
}

// Ends the process: a client's open connections must not keep it alive.
function main(run) {
    run().then(
        () => process.exit(0),
        (error) => {
            console.error(error);
            process.exit(1);
        },
    );
}

module.exports = { checksOf, fake, main };
