#!/usr/bin/python3
"""A camera for the tests: RTSP with moving pictures and speech, over and over, in several codecs.

    camera.py PORT SPEECH [USER:PASSWORD [CERTIFICATE]]

SPEECH is raw audio, mono, 16 bits, 16 kHz. With CERTIFICATE, a PEM file with its key in it, it speaks TLS. PORT 0 takes any that is free. Standard output tells, an object a line: the port,
and of each stream when its first sample was captured (seconds since 1970), so that a test knows what was said when.
Ends by a signal; SIGKILL is a camera that loses power, SIGSTOP one that hangs.
"""

import json
import sys
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtspServer  # noqa: E402

PICTURE = "videotestsrc is-live=true ! video/x-raw,format=I420,width=160,height=120,framerate=5/1 ! jpegenc ! rtpjpegpay name=pay0 pt=26"
SPEECH = (
    "multifilesrc loop=true location={speech} ! rawaudioparse pcm-format=s16le sample-rate=16000 num-channels=1 ! "
    "audiobuffersplit output-buffer-duration=1/50 ! audioconvert ! audioresample"
)
CODECS = {
    "aac": "audio/x-raw,rate=48000 ! voaacenc bitrate=64000 ! aacparse ! rtpmp4gpay name=pay1 pt=96",
    "opus": "audio/x-raw,rate=48000 ! opusenc bitrate=32000 ! rtpopuspay name=pay1 pt=97",
    "pcmu": "audio/x-raw,rate=8000 ! mulawenc ! rtppcmupay name=pay1 pt=0",
    "pcma": "audio/x-raw,rate=8000 ! alawenc ! rtppcmapay name=pay1 pt=8",
}


def tell(**fields):
    print(json.dumps(fields), flush=True)


def wake(pipeline):
    """gst-rtsp-server 1.22 now and then leaves the sink of its sender reports in PAUSED, and never sends any then."""

    def sync(element):
        if element.get_state(0).state != Gst.State.PLAYING:
            element.sync_state_with_parent()

    pipeline.iterate_recurse().foreach(sync)
    return False


def configured(_factory, media, path):
    def begun(pipeline):
        clock = pipeline.get_clock()
        if clock is None:
            return True
        tell(media=path, captured=time.time() - (clock.get_time() - pipeline.get_base_time()) / 1e9)
        GLib.timeout_add(100, wake, pipeline)
        return False

    def state(media, state):
        pipeline = media.get_element().get_parent()
        # The clock is chosen on the way.
        if state == Gst.State.PLAYING and begun(pipeline):
            GLib.timeout_add(20, begun, pipeline)

    media.connect("new-state", state)
    media.connect("unprepared", lambda _media: tell(media=path, ended=True))


def main():
    port, speech = sys.argv[1:3]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    mounts = server.get_mount_points()
    streams = {f"/{name}": f"( {PICTURE} {SPEECH.format(speech=speech)} ! {codec} )" for name, codec in CODECS.items()}
    streams["/silent-film"] = f"( {PICTURE} )"
    streams["/radio"] = f"( {SPEECH.format(speech=speech)} ! {CODECS['opus'].replace('pay1', 'pay0')} )"
    for path, launch in streams.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        # Where a client leaves the picture out, gst-rtsp-server can't let another one join: each gets its own there.
        factory.set_shared(path == "/radio")
        factory.connect("media-configure", configured, path)
        if len(sys.argv) > 3:
            for permission in ("media.factory.access", "media.factory.construct"):
                factory.add_role_from_structure(
                    Gst.Structure.from_string(f"viewer, {permission}=(boolean)true, media.factory.access=(boolean)true")[0]
                )
        mounts.add_factory(path, factory)
    if len(sys.argv) > 3:
        user, password = sys.argv[3].split(":")
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "viewer")
        if len(sys.argv) > 4:
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(sys.argv[4]))
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        server.set_auth(auth)
    server.attach(None)
    # Clients that were cut off are not served for ever.
    GLib.timeout_add_seconds(2, lambda: server.get_session_pool().cleanup() >= 0)
    tell(port=server.get_bound_port())
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
