#!/usr/bin/python3
"""A WebRTC client of its own kind for the tests: GStreamer's webrtcbin publishes speech by WHIP.

    whip.py URL SPEECH SECONDS [RELAY]

SPEECH is raw audio, mono, 16 bits, 16 kHz; it is sent as Opus with in-band FEC at the pace of speech. After SECONDS the
publication is taken back. With RELAY (ADDRESS:PORT) media go through there. Standard output tells, an object a line: the
answer's headers, and each message that comes over the data channel.
"""

import json
import re
import sys
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

LAUNCH = (
    "webrtcbin name=peer bundle-policy=max-bundle "
    "filesrc location={} ! rawaudioparse pcm-format=s16le sample-rate=16000 num-channels=1 ! "
    "audiobuffersplit output-buffer-duration=1/50 ! audioconvert ! audioresample ! audio/x-raw,rate=48000 ! clocksync ! "
    "opusenc bitrate=32000 inband-fec=true packet-loss-percentage=5 ! rtpopuspay pt=96 ! "
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=96 ! queue ! peer."
)


class Client:
    def __init__(self, url, speech, seconds, relay):
        self.url, self.seconds, self.relay = url, float(seconds), relay
        self.loop = GLib.MainLoop()
        self.location = None
        self.pipeline = Gst.parse_launch(LAUNCH.format(speech))
        self.peer = self.pipeline.get_by_name("peer")
        # By itself it would bind to interfaces that lead elsewhere.
        # (PyGObject takes the agent for its own, so it is kept.)
        self.ice = self.peer.props.ice_agent
        self.ice.emit("add-local-ip-address", "127.0.0.1")
        self.peer.connect("on-negotiation-needed", lambda peer: peer.emit("create-offer", None, self.when(self.offered)))
        self.peer.connect("notify::ice-gathering-state", lambda *_: self.gathered())
        self.pipeline.get_bus().add_signal_watch()
        self.pipeline.get_bus().connect("message::error", self.broke)
        self.pipeline.set_state(Gst.State.READY)
        channel = self.peer.emit("create-data-channel", "captions", None)
        channel.connect("on-message-string", lambda _, text: self.told(text))
        self.pipeline.set_state(Gst.State.PLAYING)

    def when(self, then):
        return Gst.Promise.new_with_change_func(lambda promise, *_: then(promise.get_reply()))

    def offered(self, reply):
        self.peer.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def gathered(self):
        if self.peer.props.ice_gathering_state == GstWebRTC.WebRTCICEGatheringState.COMPLETE and not self.location:
            GLib.idle_add(self.post)

    def post(self):
        offer = self.peer.props.local_description.sdp.as_text()
        if self.relay:
            offer = re.sub(r"a=candidate:.*\r\n", "", offer)
        headers = {"Content-Type": "application/sdp"}
        request = urllib.request.Request(self.url, offer.encode(), headers, method="POST")
        with urllib.request.urlopen(request) as response:
            answer = response.read().decode()
            self.location = urllib.request.urljoin(self.url, response.headers["Location"])
            print(json.dumps({name.lower(): value for name, value in response.headers.items()}), flush=True)
        if self.relay:
            host, port = self.relay.split(":")
            answer = re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+ \d+", rf"\1 {host} {port}", answer)
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.peer.emit("set-remote-description", description, Gst.Promise.new())
        GLib.timeout_add(int(1000 * self.seconds), self.end)
        return False

    def end(self):
        with urllib.request.urlopen(urllib.request.Request(self.location, method="DELETE")):
            pass
        # Who has no data channel is told nothing more.
        GLib.timeout_add(20_000, self.loop.quit)
        return False

    def told(self, text):
        print(text, flush=True)
        if json.loads(text)["type"] == "closed":
            GLib.idle_add(self.loop.quit)

    def broke(self, _, message):
        print(message.parse_error(), file=sys.stderr)
        self.loop.quit()


def main(url, speech, seconds, relay=None):
    Gst.init(None)
    client = Client(url, speech, seconds, relay)
    client.loop.run()
    client.pipeline.set_state(Gst.State.NULL)


main(*sys.argv[1:])
