// What is said in a session that runs on the server, whoever speaks there. A connection that breaks off is made anew, and
// goes on behind the last message.

import { Session } from "./session.js";

// Nothing is sent.
const NOTHING = { forget() {}, age() {} };

export class Subscription extends Session {
  // `session` is the id of the session; the rest is as for `Session`.
  constructor({ session, server, token, on }) {
    super({ server, token, on, feed: NOTHING, query: {}, session });
  }

  address() {
    const url = new URL(`v1/sessions/${encodeURIComponent(this.session)}/events`, this.server);
    if (this.seq !== undefined) url.searchParams.set("after", this.seq);
    return url;
  }

  close() {
    this.discard();
  }

  opened() {
    this.attempts = 0;
    this.connection.isOpen = true;
    this.on.state("live", {});
  }

  anew(why) {
    this.again(why);
  }

  closed() {
    this.over("ended");
  }
}
