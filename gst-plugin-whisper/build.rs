//! Hands version and build date of the plugin to `gst_plugin_define!`.

fn main() {
    gst_plugin_version_helper::info();
}
