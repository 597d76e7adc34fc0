#version 330
in vec3 v_color;
layout(location = 0) out vec4 out_color;
layout(location = 3) out vec4 out_light;

void main() {
    out_color = vec4(v_color, 1.0);
    // The film's curve (light.glsl) backwards.
    vec3 f = v_color * v_color;
    vec3 a = 2.51 - 2.43 * f;
    vec3 b = 0.03 - 0.59 * f;
    out_light = vec4((sqrt(b * b + 0.56 * a * f) - b) / (2.0 * a), 1.0);
}
