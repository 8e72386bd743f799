// The microphone as blocks of 16-bit samples with their loudness, 16,000 a second where the browser converts them.

const RATE = 16000;

export class Microphone {
  // Asks for it. `ended` is called when it is taken away.
  static async open(ended) {
    const media = navigator.mediaDevices;
    if (!media) throw new Error("browsers give the microphone to pages over HTTPS or from this machine only");
    const stream = await media.getUserMedia({ audio: { channelCount: 1, autoGainControl: true } });
    const microphone = new Microphone(stream);
    try {
      await microphone.connect();
    } catch (error) {
      microphone.close();
      throw error;
    }
    stream.getTracks().forEach((track) => (track.onended = ended));
    return microphone;
  }

  constructor(stream) {
    this.stream = stream;
  }

  // Samples a second.
  get rate() {
    return this.context.sampleRate;
  }

  async connect() {
    const source = this.source({ sampleRate: RATE }) ?? this.source({});
    if (!source) throw new Error("the browser can't read its microphone");
    await this.context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
    this.node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0 });
    source.connect(this.node);
    await this.context.resume();
  }

  // Firefox does not convert: there a context has to have the rate of the device.
  source(options) {
    this.context = new AudioContext(options);
    try {
      return this.context.createMediaStreamSource(this.stream);
    } catch (error) {
      this.context.close();
      if (error.name !== "NotSupportedError") throw error;
    }
  }

  // Has `block` called with each { samples, loudness }; samples as bytes.
  hear(block) {
    this.node.port.onmessage = ({ data }) => block(data);
  }

  close() {
    this.stream.getTracks().forEach((track) => track.stop());
    if (this.context?.state !== "closed") this.context?.close();
  }
}

// An error as a person understands it.
export function explained(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "The microphone is not allowed; the browser's address bar lets you change that.";
    case "NotFoundError":
      return "There is no microphone.";
    case "NotReadableError":
      return "The microphone can't be used; another program may have it.";
    default:
      return error.message;
  }
}
