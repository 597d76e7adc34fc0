#version 330
in vec3 position;
in vec3 normal;
in vec2 uv;
in vec3 color;
in float layer;
in float part;
in mat4 model;
in vec3 first;
in vec3 second;
in vec3 third;
in vec2 tag_id;
in float lights;
uniform mat4 world_to_clip;
out vec3 v_normal;
out vec2 v_uv;
out vec3 v_world;
out vec3 v_color;
flat out float v_layer;
flat out float v_shine;  // 0 dull, 1 shiny, 2 shines by itself
flat out vec3 v_code;

void main() {
    vec4 world = model * vec4(position, 1.0);
    v_world = world.xyz;
    // Scales are near one another along the axes, so the plain matrix does for normals.
    v_normal = mat3(model) * normal;
    v_uv = uv;
    v_layer = layer;
    vec3 c = color;
    float shine = 0.0;
    float tag = tag_id.x;
    if (part > 9.5) {
        int bit = int(part - 9.5);
        bool lit = ((int(lights + 0.5) >> bit) & 1) == 1;
        shine = lit ? 2.0 : 1.0;
        c *= lit ? 3.0 : (bit > 7 ? (bit > 10 ? 0.9 : 0.05) : (bit < 3 ? 0.4 : 0.9));
        // In full sun a red lens is as red unlit: a lamp that shines turns pale.
        if (lit && bit < 8) c += 0.1;
        if (lit && bit > 10) c *= first;  // street lamps have a colour of their own
    } else if (part > 0.5) {
        int kind = int(part + 0.5);
        if (kind == 1 || kind == 5) c *= first;
        if (kind == 2 || kind == 7) c *= second;
        if (kind == 3) c *= third;
        if (kind == 4 || kind == 5) shine = 1.0;
        if (kind >= 6) tag = 13.0;
    }
    v_color = c;
    v_shine = shine;
    float high = floor(tag_id.y / 256.0);
    v_code = vec3(tag, tag_id.y - 256.0 * high, high) / 255.0;
    gl_Position = world_to_clip * world;
}
