// A painted face. Texture position and level of detail come from the projective map alone, so that
// they can be computed again outside, exactly; see the docstring of faces.py.
in vec3 v_world;
uniform sampler2D picture;  // filtered within a level, never between levels
uniform sampler2DShadow shadow;
uniform mat4 world_to_shadow;
uniform mat3 pixel_to_texture;
uniform vec2 texels;  // width, height of level 0
uniform float last_level;
uniform vec3 normal;
uniform vec3 code;
layout(location = 0) out vec4 out_color;
layout(location = 1) out float out_depth;
layout(location = 2) out vec4 out_code;
layout(location = 3) out vec4 out_light;
layout(location = 4) out vec4 out_normal;
layout(location = 5) out vec4 out_paint;

void main() {
    float z = 1.0 / gl_FragCoord.w;
    vec3 q = pixel_to_texture * vec3(gl_FragCoord.xy, 1.0);
    vec2 uv = q.xy / q.z;
    vec2 along_x = (pixel_to_texture[0].xy - uv * pixel_to_texture[0].z) / q.z * texels;
    vec2 along_y = (pixel_to_texture[1].xy - uv * pixel_to_texture[1].z) / q.z * texels;
    float stretch = max(dot(along_x, along_x), dot(along_y, along_y));
    float level = clamp(0.5 * log2(stretch), 0.0, last_level);
    float low = floor(level);
    vec4 fine = textureLod(picture, uv, low);
    vec4 coarse = textureLod(picture, uv, min(low + 1.0, last_level));
    vec4 shown = mix(fine, coarse, level - low);
    if (shown.a < 0.5) discard;  // cut out
    vec3 t = shown.rgb;
    vec3 s = (world_to_shadow * vec4(v_world + 0.05 * normal, 1.0)).xyz * 0.5 + 0.5;
    bool inside = all(greaterThan(s.xy, vec2(0.002))) && all(lessThan(s.xy, vec2(0.998)));
    float sunlit = inside ? texture(shadow, vec3(s.xy, s.z - 0.0006)) : 1.0;
    vec3 direct = sun_light * (max(dot(normal, sun), 0.0) * sunlit);
    vec3 ambient = mix(ground_light, sky_light, normal.z * 0.5 + 0.5);
    vec3 light = t * t * (ambient + direct + lamp_light(v_world, normal));
    vec3 seen_light = mix(haze, light, clearness(z));
    out_color = vec4(response(seen_light), 1.0);
    out_light = vec4(seen_light * exposure, 1.0);
    out_normal = vec4(normal * 0.5 + 0.5, 1.0);
    out_paint = vec4(t, 1.0);
    out_depth = z;
    out_code = vec4(code, 1.0);
}
