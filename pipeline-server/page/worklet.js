// Microphone to 16-bit samples, off the page's thread: blocks of 40 ms with their loudness go to the page.

const BLOCK = Math.round(sampleRate / 25);

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.begin();
  }

  begin() {
    this.block = new Int16Array(BLOCK);
    this.filled = 0;
    this.power = 0;
  }

  process(inputs) {
    const channels = inputs[0];
    if (!channels.length) return true;
    const frames = channels[0].length;
    for (let i = 0; i < frames; i++) {
      let sample = 0;
      for (const channel of channels) sample += channel[i] / channels.length;
      this.power += sample * sample;
      this.block[this.filled++] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
      if (this.filled === BLOCK) {
        this.port.postMessage({ samples: this.block.buffer, loudness: Math.sqrt(this.power / BLOCK) }, [this.block.buffer]);
        this.begin();
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
